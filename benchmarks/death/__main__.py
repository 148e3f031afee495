"""Strikes archer's commands at many moments, examines what is left, and counts.

python -m benchmarks.death --folder work --moments 40
python -m benchmarks.death propose --folder work --moments 40 --blow full short
python -m benchmarks.death --folder work --table
python -m benchmarks.death --folder docs/results --results kills.jsonl --mark after,now --table

The blows (`--blow`): kill, and group (git and all children too), before and after chosen acts (writes, renames, git
calls); random, a group killed at a random time; full and short, a full disk from a chosen write on; back and forth, a
clock that jumps by a day. As root: disk, a small file system on which so much is left; readonly, an archive that
cannot be written. two: the command twice at once; pair: the same, and one of them is killed at a random time. locks:
one of git's files locked by a git that was killed.

WORD: the scenario of that name, else those whose name holds it; without one, all. Each try is a line of
work/results.jsonl; what is there already is not tried again.
"""

import argparse
import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.death.conditions import LOCKS, leave_lock, own_disk, read_only, space_left
from benchmarks.death.examine import Before, examine, outcome, proposals
from benchmarks.death.injector import Moment, drawn_moments
from benchmarks.death.nursery import Place, ended, import_all, run, start
from benchmarks.death.scenarios import Scenario, make_bases, scenarios

BLOWS = ("kill", "group", "random", "full", "short", "back", "forth")
CONDITIONS = ("disk", "readonly", "two", "pair", "locks")


def main() -> None:
    """Try what is asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="for archives and results")
    parser.add_argument("--moments", type=int, default=40, help="a scenario and blow; scenarios that train have fewer")
    parser.add_argument("--blow", nargs="+", choices=BLOWS + CONDITIONS, default=["kill"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mark", default="", help="of these results, as before or after a change")
    parser.add_argument("--minutes", type=float, default=600, help="start no try after so many")
    parser.add_argument("--results", default="results.jsonl", help="file in the folder")
    parser.add_argument(
        "--table", action="store_true", help="only print the results that are there; several marks may be named"
    )
    parser.add_argument("words", nargs="*", metavar="WORD")
    options = parser.parse_args()
    folder = options.folder.resolve()
    results = folder / options.results
    if not options.table:
        deadline, commit = time.monotonic() + 60 * options.minutes, _commit()
        import_all()
        make_bases(folder / "bases")
        wanted = [s for s in scenarios() if not options.words or any(_meant(word, s.name) for word in options.words)]
        for scenario in wanted:
            for blow in options.blow:
                count = max(1, round(options.moments * scenario.share))
                trying = tries if blow in BLOWS else tries_under
                for found in trying(
                    folder, scenario, blow, count, options.seed, _done(results, options.mark), deadline
                ):
                    with results.open("a") as stream:
                        stream.write(json.dumps({"mark": options.mark, "commit": commit, **found}) + "\n")
                    print(json.dumps(found), flush=True)
    print_table(results, options.mark.split(","))


def _commit() -> str:
    """The commit that is tried; `+` where files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    short = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD"], check=False).returncode
    return short.stdout.strip() + "+" * bool(changed)


def _meant(word: str, name: str) -> bool:
    return word in name if word not in {each.name for each in scenarios()} else word == name


def _prepared(folder: Path, scenario: Scenario) -> tuple[Place, Path, list[str]]:
    """The place of the tries, the folder of archives to begin from, and the words of the command."""
    place, bases = Place(folder / "try"), folder / "bases"
    place.prepare(scenario, bases)
    return place, bases, [str(bases / "other") if word == "OTHER" else word for word in scenario.words]


def tries(
    folder: Path, scenario: Scenario, blow: str, count: int, seed: int, done: set[tuple[str, ...]], deadline: float
) -> Iterator[dict[str, Any]]:
    """Try moments of one scenario that are not done yet; each with what was found wrong."""
    place, bases, words = _prepared(folder, scenario)
    began = time.monotonic()
    if code := run(place, words):
        raise SystemExit(f"{scenario.name}: ended with {code}: {place.said()}")
    life, acts, wanted = time.monotonic() - began, place.acts, outcome(place, scenario)
    drawn = random.Random(f"{scenario.name} {blow} {seed}")
    for moment, seconds in moments(drawn, blow, acts, count, life):
        where = f"{seconds:.2f} s" if seconds else f"{moment.side} {moment.number}"
        if (scenario.name, blow, where) in done or time.monotonic() > deadline:
            continue
        place.prepare(scenario, bases)
        before = Before.of(place)
        code = ended(start(place, words, moment, dies=(seconds, True) if seconds else None))
        struck = place.acts[moment.number] if not seconds and moment.number < len(place.acts) else ""
        crash = [f"a bug: {place.said()[:200]}"] if code in (3, 99, -100) else []
        yield {
            "scenario": scenario.name,
            "blow": blow,
            "moment": where,
            "act": struck[:120],
            "code": code,
            "said": place.said()[:200] if code > 0 else "",
            "wrong": crash + examine(place, scenario, words, before, wanted),
        }


def tries_under(
    folder: Path, scenario: Scenario, blow: str, count: int, seed: int, done: set[tuple[str, ...]], deadline: float
) -> Iterator[dict[str, Any]]:
    """The same for a condition that holds for the whole life of the command."""
    place, bases, words = _prepared(folder, scenario)
    began = time.monotonic()
    run(place, words, count=False)
    life, wanted = time.monotonic() - began, outcome(place, scenario)
    drawn = random.Random(f"{scenario.name} {blow} {seed}")
    for where in _cases(drawn, blow, count, bool(scenario.base), life):
        if (scenario.name, blow, where) in done or time.monotonic() > deadline:
            continue
        place.prepare(scenario, bases)
        before, well = Before.of(place), 0
        with ExitStack() as stack:
            if blow == "locks":
                leave_lock(place, where, time.time())
                code = 0
            elif blow == "disk":
                stack.enter_context(own_disk(place))
                with space_left(place, int(where.split()[0])):
                    code = run(place, words, count=False)
            elif blow == "readonly":
                with read_only(place):
                    code = run(place, words, count=False)
            else:
                dies = (float(where.split()[0]), True) if blow == "pair" else None
                first, second = start(place, words, count=False, dies=dies), start(place, words, count=False)
                codes = ended(first), ended(second)
                code = codes[0] if dies and codes[0] < 0 and codes[1] == 0 else max(codes)
                well = codes.count(0)
                wanted = {} if "proposals" in scenario.same else wanted
            said = place.said()[:200] if code > 0 else ""
            crash = [f"a bug: {said}"] if code not in (0, 1, 2) and (blow != "pair" or code != -9) else []
            if scenario.repeats and (lacking := well - proposals(place)) > 0:
                crash.append(f"proposals that ended and are not there: {lacking}")
            wrong = crash + examine(place, scenario, words, before, wanted)
        yield {"scenario": scenario.name, "blow": blow, "moment": where, "act": "", "code": code, "said": said,
               "wrong": wrong}  # fmt: skip


def _cases(drawn: random.Random, blow: str, count: int, base: bool, life: float) -> list[str]:
    if blow == "locks":
        return list(LOCKS) if base else []
    if blow == "readonly":
        return ["all the time"] if base else []
    if blow == "two":
        return [f"together, {number}" for number in range(count)]
    if blow == "pair":
        return [f"{(part + drawn.random()) * life / count:.2f} s, of one" for part in range(count)]
    sizes = [0, *(int(2 ** (12 * (part + drawn.random()) / count)) for part in range(count - 1))]
    return [f"{kibibytes // 4 * 4} KiB left" for kibibytes in sizes]


def moments(
    drawn: random.Random, blow: str, acts: list[str], count: int, life: float
) -> Iterator[tuple[Moment, float]]:
    """Moments of a blow, by act or in seconds."""
    if blow == "random":
        for part in range(count):
            yield Moment(-1), (part + drawn.random()) * life / count + 0.001
        return
    if blow == "short":
        acts = [act if act.startswith("write") else "" for act in acts]
    elif blow == "full":
        acts = ["" if act.startswith(("unlink", "remove", "rmdir", "end")) else act for act in acts]
    some = [number for number, act in enumerate(acts) if act]
    for at in drawn_moments(drawn, [acts[number] for number in some], count):
        side = drawn.choice(("before", "after")) if blow in ("kill", "group") else "before"
        yield Moment(some[at], side, blow), 0.0  # type: ignore[arg-type]


def _done(results: Path, mark: str) -> set[tuple[str, ...]]:
    return {(r["scenario"], r["blow"], r["moment"]) for r in _read(results, [mark])}


def _read(results: Path, marks: Sequence[str]) -> list[dict[str, Any]]:
    lines = results.read_text().splitlines() if results.exists() else []
    return [found for found in map(json.loads, lines) if found["mark"] in marks]


def print_table(results: Path, marks: Sequence[str]) -> None:
    """Tries by scenario and blow, a number for each mark; then those in which something was wrong, and SIGKILLs."""
    found = _read(results, marks)
    blows = [blow for blow in BLOWS + CONDITIONS if any(result["blow"] == blow for result in found)]
    rows = [*dict.fromkeys(result["scenario"] for result in found), "all"]
    print(f"\n| scenario | {' | '.join(blows)} | wrong |\n|---|{'---:|' * (len(blows) + 1)}")
    for row in rows:
        own = [result for result in found if row in (result["scenario"], "all")]
        cells = [_by_mark([result for result in own if result["blow"] == blow], marks) for blow in blows]
        print(f"| {row} | {' | '.join(cells)} | {_by_mark([result for result in own if result['wrong']], marks)} |")
    print(f"\nkilled with SIGKILL: {_by_mark([result for result in found if result['code'] == -9], marks)}")
    for commit, count in Counter(result.get("commit", "not kept") for result in found).items():
        print(f"* {count} on {commit}")
    for kind, count in Counter(wrong.split(":")[0] for result in found for wrong in result["wrong"]).most_common():
        print(f"* {count} wrong: {kind}")


def _by_mark(found: Sequence[dict[str, Any]], marks: Sequence[str]) -> str:
    """How many there are of each mark, as `24 + 3`; a dash for none."""
    counts = [sum(result["mark"] == mark for result in found) for mark in marks]
    return " + ".join(str(count) for count in counts) if any(counts) else "–"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
