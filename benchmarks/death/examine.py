"""What must hold after a blow: nothing lost, nothing left, the archive whole, and the same command goes on.

What Ray keeps of its sessions (`ray` in TMPDIR) is its own.
"""

import hashlib
import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.death.nursery import Place, run
from benchmarks.death.scenarios import Scenario

PATIENCE = 60.0
"""Seconds for what was killed to end: its first minute."""
OF_RAY = {"ray::DashboardA", "ray::RuntimeEnv"}
"""Two agents of Ray that hold nothing of archer's, by the first 15 letters of their names."""
PATIENCE_OF_RAY = 120.0
"""Seconds for these: they try for a minute to tell a head of Ray, which is gone too, that their node is gone."""
MINUTE = 61.0


@dataclass(frozen=True)
class Before:
    """What had ended before the blow: commits by branch, and files by path."""

    tips: dict[str, str]
    files: dict[str, str]

    @classmethod
    def of(cls, place: Place) -> "Before":
        """Of an archive that nobody is writing."""
        if not (place.archive / ".git").exists():
            return cls({}, {})
        return cls(_tips(place), {path: digest for path, digest in _files(place.archive) if path.count("/") > 1})


def examine(place: Place, scenario: Scenario, words: list[str], before: Before, wanted: dict[str, str]) -> list[str]:
    """Every rule that is broken, in a few words. wanted: what an undisturbed run ended with."""
    found = [f"process left: {name}" for name in _left(place)]
    logged = _logged(place)
    if (place.archive / "archive.json").exists() and not (place.archive / ".archer-making").exists():
        found += [f"at once, {problem}" for problem in _unsound(place)]
        found += _lost(place, before)
    if scenario.repeats and outcome(place, scenario) == wanted:  # it had ended, and the same command adds one more
        wanted = {}
    _age(place)
    code = run(place, words, count=False)
    if code not in scenario.again:
        return [*found, f"the next run ended with {code}: {place.said()[:300]}"]
    found += [f"after the next run, {problem}" for problem in _unsound(place)] + _lost(place, before)
    found += [f"trained again, though it had ended: {task}" for task in sorted(logged - _told(place))]
    got = outcome(place, scenario)
    found += [f"{what} differs from an undisturbed run's" for what in wanted if wanted[what] != got[what]]
    return (
        found
        + [f"left: {name}" for name in _litter(place, scenario)]
        + [f"process left: {name}" for name in _left(place)]
    )


def outcome(place: Place, scenario: Scenario) -> dict[str, str]:
    """What the scenario is to end with: `Scenario.same`, each as text."""
    found = {}
    if "tree" in scenario.same:
        found["tree"] = _git(place, "rev-parse", "HEAD^{tree}")
    if "site" in scenario.same:
        found["site"] = json.dumps(sorted(_files(place.files / "site")))
    if "proposals" in scenario.same:
        cards = (place.archive / "proposals").glob("*/scorecard.json")
        statuses = Counter(json.loads(card.read_text())["status"] for card in cards)
        paths = sorted((place.archive / "trials" / "smoke").glob("*"))
        trials = {path.name: len(path.read_text().splitlines()) for path in paths}
        found["proposals"] = json.dumps([sorted(statuses.items()), sorted(trials.items())])
    return found


def proposals(place: Place) -> int:
    """How many the archive has."""
    return len(list((place.archive / "proposals").glob("*/scorecard.json")))


def _unsound(place: Place) -> Iterator[str]:
    if run(place, ["verify", "--archive", "archive", "--json"], count=False):
        text = (place.folder / "out").read_text()
        problems = json.loads(text)["problems"] if text.startswith("{") else [place.said()]
        yield f"verify: {'; '.join(problems[:3])[:300]}"
    done = subprocess.run(
        ["git", "-C", place.archive, "fsck", "--full", "--no-dangling"], capture_output=True, text=True, check=False
    )
    if done.returncode or done.stderr.strip():
        yield f"git fsck: {(done.stderr + done.stdout).strip()[:200]}"


def _lost(place: Place, before: Before) -> list[str]:
    """What had been committed before and is no more."""
    lost = [
        f"lost: commit of {branch}"
        for branch, tip in before.tips.items()
        if subprocess.run(
            ["git", "-C", place.archive, "merge-base", "--is-ancestor", tip, branch], capture_output=True, check=False
        ).returncode
    ]
    kept = dict(_files(place.archive))
    return lost + [
        f"lost: {path}"
        for path, digest in before.files.items()
        if path.startswith(("/proposals", "/variants")) and kept.get(path) != digest
    ]


def _logged(place: Place) -> set[tuple[str, float]]:
    """Trials that had ended when it was killed and were kept for the next run: task and seconds, which no two share."""
    return _trials([place.archive / ".git" / "archer-unfinished.jsonl"])


def _told(place: Place) -> set[tuple[str, float]]:
    root = place.archive
    paths = [
        *root.glob("proposals/*/trials.jsonl"),
        *root.glob("trials/*/*.jsonl"),
        *root.glob("confirmations/*/*.jsonl"),
    ]
    return _trials([*paths, root / ".git" / "archer-unfinished.jsonl"])


def _trials(paths: list[Path]) -> set[tuple[str, float]]:
    found = set()
    for line in (line for path in paths if path.exists() for line in path.read_bytes().splitlines()):
        try:
            trial = json.loads(line)
        except ValueError:
            continue  # torn as it was written
        found.add((trial["task"], trial["wall_seconds"]))
    return found


def _age(place: Place) -> None:
    """Make what lies in TMPDIR a minute older: what may stay so long is looked for after that."""
    then = time.time() - MINUTE
    for entry in place.temporary.iterdir():
        os.utime(entry, (then, then), follow_symlinks=False)


def _litter(place: Place, scenario: Scenario) -> list[str]:
    """Drafts, locks and temporary folders that nobody needs any more."""
    known = {"archive", "tmp", "site", *(name for name in os.listdir(place.files) if name.endswith((".csv", ".py")))}  # noqa: PTH208
    found = [name for name in sorted(os.listdir(place.files)) if name not in known]  # noqa: PTH208
    found += [f"tmp/{entry.name}" for entry in place.temporary.iterdir() if entry.name.startswith(("archer", "tmp"))]
    drafts = [path for pattern in (".tmp-*", "*.part", "*.lock", "archer-*.npz") for path in place.files.rglob(pattern)]
    kept = ("archer.lock", "archer-fingerprints.npz", "archer-unfinished.lock")
    git = place.archive / ".git"
    mine = [path for path in drafts if not (scenario.reads and path.suffix == ".lock" and path.is_relative_to(git))]
    return found + [str(path.relative_to(place.files)) for path in mine if path.name not in kept]


def _left(place: Place) -> list[str]:
    """Processes that still run with this place's TMPDIR, after some patience."""
    began = time.monotonic()
    while found := _running(place):
        if time.monotonic() - began > (PATIENCE_OF_RAY if OF_RAY.issuperset(found) else PATIENCE):
            break
        time.sleep(0.05)
    return found


def _running(place: Place) -> list[str]:
    mark, found = os.fsencode(place.folder), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            where = os.fsencode((entry / "cwd").readlink())
            texts = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z" and (mark in texts or where.startswith(mark)):
            found.append((entry / "comm").read_text().strip() if (entry / "comm").exists() else "?")
    return found


def _tips(place: Place) -> dict[str, str]:
    lines = _git(place, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
    return {line.split()[0]: line.split()[1] for line in lines}


def _git(place: Place, *words: str) -> str:
    done = subprocess.run(["git", "-C", place.archive, *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _files(root: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(root.rglob("*")):
        name = f"/{path.relative_to(root)}"
        if path.is_file() and not name.startswith("/.git/"):
            yield name, hashlib.sha256(path.read_bytes()).hexdigest()
