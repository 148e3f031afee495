"""The parts of a merge that belong to no proposal: variants, trials, confirmations, failed asks, imported tables."""

from collections.abc import Iterator, Mapping

import pandas as pd

from archive.confirmations import CONFIRMATIONS, Confirmation
from archive.files import as_json, read_json, read_lines, read_text
from archive.merging.fetch import Fetched
from archive.merging.result import Merged
from archive.reader import ASKS, TRIALS, Reader
from archive.records.places import variant_place
from archive.records.runs import run_of
from archive.store import Archive
from archive.tables.leaderboard_csv import format_leaderboard, parse_leaderboard
from archive.tables.leaderboards import LEADERBOARDS
from evaluator.outcomes import Trial
from evaluator.protocols.built_in import PROTOCOLS


def bring_variants(archive: Archive, found: Fetched, names: Mapping[str, str], proposed: set[str]) -> None:
    """Merge the code of variants without a proposal, imported leaderboards and failed asks, in one commit."""
    files = {
        variant_place(archive.root, names[name]): variant.source
        for name, variant in found.content.variants().items()
        if name not in proposed and archive.variant(names[name]) is None
    }
    files |= dict(_asks(archive, found.content))
    files |= _boards(archive, found.content)
    archive.tell_files(files, f"Merge variants\n\nMerged-From: {found.head}")


def bring_results(archive: Archive, found: Fetched, names: Mapping[str, str], merged: Merged) -> None:
    """Merge further trials, and the results on fresh seeds, in one commit. Call it after the proposals were merged.

    Before, some of these would be of a name that nobody holds yet: after a kill, another variant could get it.
    """
    files = dict(_trials(archive, found.content, TRIALS, names, merged))
    files |= dict(_trials(archive, found.content, CONFIRMATIONS, names, merged))
    files |= dict(_confirmations(archive, found.content, names, merged))
    told = f"Merge {merged.trials} trials and {merged.confirmations} confirmations"
    archive.tell_files(files, f"{told}\n\nMerged-From: {found.head}")


def _trials(
    archive: Archive, content: Reader, folder: str, names: Mapping[str, str], merged: Merged
) -> Iterator[tuple[str, str]]:
    """The merged trial files, each trial once. If the results of a trial differ, the local result stays."""
    for path in sorted((content.root / folder).glob("*/*.jsonl")):
        if not (theirs := read_lines(path, Trial)):
            continue  # nothing says that there is a variant of that name
        here = f"{folder}/{path.parent.name}/{names[path.stem]}.jsonl"
        own = read_lines(archive.root / here, Trial)
        known = {run_of(trial): (trial.accuracy, trial.weights_hash) for trial in own}
        new = []
        for trial in theirs:
            if (before := known.get(run_of(trial))) is None:
                link = trial.inherited_from
                moved = {"variant": names[path.stem], "inherited_from": names.get(link, link) if link else None}
                new.append(trial.model_copy(update=moved))
            else:
                merged.conflicts += before != (trial.accuracy, trial.weights_hash)
        merged.trials += len(new)
        if new:
            yield here, "".join(f"{trial.model_dump_json()}\n" for trial in (*own, *new))


def _confirmations(
    archive: Archive, content: Reader, names: Mapping[str, str], merged: Merged
) -> Iterator[tuple[str, str]]:
    """The merged confirmations: of two, what decided under the protocol as it is now, then what decided; then ours."""
    for path in sorted((content.root / CONFIRMATIONS).glob("*/*.json")):
        theirs = Confirmation.model_validate(read_json(path))
        links = {"variant": names[theirs.variant], "against": names.get(theirs.against, theirs.against)}
        theirs = theirs.model_copy(update=links)
        here = f"{CONFIRMATIONS}/{path.parent.name}/{theirs.variant}.json"
        if (archive.root / here).exists():
            ours = Confirmation.model_validate(read_json(archive.root / here))
            if _says(theirs, path.parent.name) <= _says(ours, path.parent.name):
                merged.conflicts += ours != theirs
                continue
        merged.confirmations += 1
        yield here, as_json(theirs.model_dump(mode="json"))


def _says(confirmation: Confirmation, protocol: str) -> tuple[bool, bool]:
    """How much it says: whether it decided under the version of today, and whether it decided."""
    decided = confirmation.outcome != "unfinished"
    return protocol in PROTOCOLS and confirmation.decides(PROTOCOLS[protocol].hash), decided


def _asks(archive: Archive, content: Reader) -> Iterator[tuple[str, str]]:
    """The failed asks of the other archive that are new here, each exchange once."""
    here = {path.name: read_text(path) for path in (archive.root / ASKS).glob("*.jsonl")}
    for path in sorted((content.root / ASKS).glob("*.jsonl")):
        text, name, number = read_text(path), path.name, 2
        if text in here.values():
            continue
        while name in here:
            name, number = f"{path.stem}-{number}.jsonl", number + 1
        here[name] = text
        yield f"{ASKS}/{name}", text


def _boards(archive: Archive, content: Reader) -> dict[str, str]:
    """The imported leaderboards with the rows that are new here. A local row of the same name stays."""
    derived = {*PROTOCOLS, *archive.protocols(), *content.protocols()}
    files = {}
    for path in sorted((content.root / LEADERBOARDS).glob("*.csv")):
        if path.stem in derived:
            continue
        where = f"{LEADERBOARDS}/{path.name}"
        theirs = parse_leaderboard(read_text(path), where)
        if not (archive.root / where).exists():
            files[where] = format_leaderboard(theirs)
            continue
        ours = parse_leaderboard(read_text(archive.root / where), where)
        if len(more := theirs[~theirs.index.isin(ours.index)]):
            files[where] = format_leaderboard(pd.concat([ours, more]))
    return files
