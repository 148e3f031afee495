"""`archer leaderboard`: the table of a protocol."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from agent.commands.front import print_front
from agent.measure import shipped
from agent.options import (
    DEFAULT_ARCHIVE,
    DEFAULT_PROTOCOL,
    ArchiveOption,
    JsonOption,
    QuietOption,
    Speech,
    find_protocol,
)
from agent.subject import archive_if_any
from agent.tried import families, families_json, families_lines
from agent.view import OUTCOME_MARK, OUTCOME_STYLE, score_text, scores_json, short_name
from archive.leaderboards import LEADERBOARDS, leaderboard_csv, scorecards
from evaluator.outcomes import Scorecard, Trial, Verdict
from evaluator.protocol import PROTOCOLS
from evaluator.statistics import verdict
from variants.contract import REFERENCE, TASKS
from variants.leaderboard import PUBLISHED, format_leaderboard, read_leaderboard


def leaderboard(
    protocol: Annotated[str, typer.Option("--protocol", help="smoke, quick, mad, or published.")] = DEFAULT_PROTOCOL,
    csv: Annotated[bool, typer.Option("--csv", help="The published form: name, six tasks.")] = False,
    front: Annotated[bool, typer.Option("--front", help="Who is undominated; what is missing where.")] = False,
    archive: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the leaderboard of one protocol: mean, 95 % interval, n, and the verdict against the gated reference.

    Without an archive, the scores of the seeds that ship with archer are shown.
    Example: archer leaderboard --protocol quick
    """
    speech = Speech(as_json, quiet)
    found = archive_if_any(archive)
    if front:
        print_front(speech, protocol, found)
        return
    if protocol == "published":
        path = found.root / LEADERBOARDS / "published.csv" if found else PUBLISHED
        _print_published(speech, path, csv)
        return
    find_protocol(protocol)
    trials = found.trials(protocol) if found else shipped(protocol)
    cards = scorecards(protocol, trials)
    ranked = dict(sorted(cards.items(), key=lambda item: -_mean(item[1])))
    verdicts = {name: _against_reference(name, trials) for name in ranked}
    if csv:
        speech.out.print(leaderboard_csv(ranked), end="", markup=False)
        return
    tried = families(found, protocol) if found else {}
    if as_json:
        rows = [_row(card, verdicts[name]) for name, card in ranked.items()]
        speech.answer({"protocol": _protocol_json(protocol), "rows": rows, "discoveries": families_json(tried)})
        return
    speech.out.print(_table(protocol, ranked, verdicts))
    for line in families_lines(tried):
        speech.out.print(line)


def _mean(card: Scorecard) -> float:
    return sum(score.mean for score in card.scores.values()) / len(TASKS)


def _against_reference(name: str, trials: Mapping[str, Sequence[Trial]]) -> Verdict | None:
    if name == REFERENCE or REFERENCE not in trials:
        return None
    return verdict(trials[name], trials[REFERENCE], REFERENCE)


def _protocol_json(protocol: str) -> dict[str, str]:
    return {"name": protocol, "hash": PROTOCOLS[protocol].hash}


def _row(card: Scorecard, against: Verdict | None) -> dict[str, Any]:
    return {
        "name": card.variant,
        "scores": scores_json(card.scores),
        "mean": _mean(card),
        "n": min(score.n for score in card.scores.values()),
        "verdict": against.model_dump(mode="json") if against else None,
    }


def _table(protocol: str, ranked: Mapping[str, Scorecard], verdicts: Mapping[str, Verdict | None]) -> Table:
    title = f"{protocol}: accuracy ± half of the 95 % interval; against {REFERENCE}: ▲ better, ▼ worse"
    table = Table("variant", "mean", *TASKS, "n", title=title, title_justify="left", box=None)
    for name, card in ranked.items():
        against = verdicts[name]
        cells = []
        for task in TASKS:
            outcome = against.tasks[task].outcome if against and task in against.tasks else "indistinguishable"
            style = OUTCOME_STYLE[outcome] if outcome in ("better", "worse") else "default"
            mark = OUTCOME_MARK[outcome] if outcome != "inert" else " "
            cells.append(f"[{style}]{score_text(card.scores.get(task))} {mark}[/]")
        n = str(min(score.n for score in card.scores.values()))
        table.add_row(short_name(name), f"{_mean(card):.3f}", *cells, n)
    return table


def _print_published(speech: Speech, path: Path, csv: bool) -> None:
    board = read_leaderboard(path)
    if speech.as_json:
        rows = [{"name": name, "scores": row, "mean": sum(row.values()) / len(TASKS), "n": 1, "verdict": None}
                for name, row in board.to_dict("index").items()]  # fmt: skip
        speech.answer({"protocol": {"name": "published", "hash": None}, "rows": rows})
    elif csv:
        speech.out.print(format_leaderboard(board), end="", markup=False)
    else:
        table = Table(
            "variant", "mean", *TASKS, title="published: one seed, full MAD on GPU", title_justify="left", box=None
        )
        for name, row in board.iterrows():
            table.add_row(short_name(str(name)), f"{row.mean():.3f}", *(f"{row[task]:.3f}" for task in TASKS))
        speech.out.print(table)
