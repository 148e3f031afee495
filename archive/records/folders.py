"""One proposal as a folder of text files, so that git and a text editor are enough to read everything."""

import shutil
from pathlib import Path

from pydantic import ValidationError

from archive.errors import ArchiveError
from archive.files import as_json, as_lines, first_problem, read_json, read_lines, read_text, write_text
from archive.records.places import proposal_place, variant_place
from archive.records.record import Exchange, Origin, Record
from evaluator.outcomes import Trial

ORIGIN = "merged.json"
_RESULT = ("status", "reason", "no_effect", "scorecard", "verdicts", "cost")


def write_record(root: Path, record: Record, report: str, origin: Origin | None = None) -> None:
    """Write the record's folder and its variant's file. Raises OSError.

    The folder appears whole, by a rename, or not at all.
    """
    folder = root / proposal_place(root, record.id)
    draft = folder.with_name(f".tmp-{record.id}")
    source = root / variant_place(root, record.proposal.variant.name, record.number)
    for inside in (folder.parent, source.parent):
        if inside.is_symlink():
            raise ArchiveError(f"{inside} is a link, and archer writes only inside of an archive; replace it")
    try:
        draft.mkdir(parents=True)
        for name, text in record_files(record, report, origin).items():
            write_text(draft / name, text)
        write_text(source, record.proposal.variant.source)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def rewrite_record(root: Path, record: Record, report: str, origin: Origin | None = None) -> None:
    """Write the files of a record that is there already anew. Raises OSError.

    Its status is written last: a kill in between leaves a record that has not ended.
    """
    folder = root / proposal_place(root, record.id)
    for name, text in record_files(record, report, origin).items():
        write_text(folder / name, text)


def record_files(record: Record, report: str, origin: Origin | None = None) -> dict[str, str]:
    """The text of each file of the record's folder, by name; the status is in the last but for the origin."""
    content = record.model_dump(mode="json")
    result = {key: content.pop(key) for key in _RESULT}
    check = content.pop("check")
    for in_lines in ("trials", "exchanges"):
        del content[in_lines]
    del content["proposal"]["variant"]["source"]
    content["proposal"]["variant"]["source_hash"] = record.proposal.variant.source_hash
    texts = {"proposal.json": as_json(content), "report.md": report}
    if check is not None:
        texts["check.json"] = as_json(check)
    texts |= {"trials.jsonl": as_lines(record.trials), "exchange.jsonl": as_lines(record.exchanges)}
    texts["scorecard.json"] = as_json(result)
    if origin is not None:
        texts[ORIGIN] = as_json(origin.model_dump(mode="json"))
    return texts


def read_record(root: Path, identity: str) -> Record:
    """Read a proposal's folder. Raises ArchiveError that names the file at fault."""
    folder = root / proposal_place(root, identity)
    content = read_json(folder / "proposal.json")
    content |= read_json(folder / "scorecard.json")
    if (folder / "check.json").exists():
        content["check"] = read_json(folder / "check.json")
    try:
        variant = content["proposal"]["variant"]
        source_hash = variant.pop("source_hash")
        source = root / variant_place(root, variant["name"])
        variant["source"] = read_text(source)
        record = Record.model_validate(content)
    except ValidationError as error:
        raise ArchiveError(f"{folder}: {first_problem(error)}; restore it with `git checkout`") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ArchiveError(f"{folder}/proposal.json lacks {error}; restore it with `git checkout`") from error
    if record.proposal.variant.source_hash != source_hash:
        raise ArchiveError(f"{source} is not the code that {identity} was scored with; restore it with `git checkout`")
    if record.id != identity:
        raise ArchiveError(f"{folder} holds the record {record.id}; the folder was renamed")
    trials = read_lines(folder / "trials.jsonl", Trial)
    return record.model_copy(update={"trials": trials, "exchanges": read_lines(folder / "exchange.jsonl", Exchange)})
