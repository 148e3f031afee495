"""The commands that are struck, each with the folder that it starts from, and what it must have done in the end."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent import cli
from archive.confirmations import Confirmation, Difference
from archive.errors import ArchiveError
from archive.records.record import Exchange
from archive.store import Archive
from benchmarks.bad_files.archives import IDENTITY, Example
from evaluator.outcomes import Status
from evaluator.protocols.built_in import SMOKE
from tests.builders import make_record, make_trials
from variants.seeds import seed_variants

CSV = "name,Compress,Fuzzy Recall,In-Context Recall,Memorize,Noisy Recall,Selective Copy\n" + "".join(
    f"row_{n},0.{n}1,0.{n}2,0.{n}3,0.{n}4,0.{n}5,0.{n}6\n" for n in range(1, 9)
)
SCRIPT = "script"
"""The first word of a scenario that is no command: archer's own writes of a search, without its trainings."""


@dataclass(frozen=True)
class Scenario:
    """A command in a folder. same: what of the folder must be equal in the end, whatever happened on the way."""

    name: str
    words: tuple[str, ...]
    base: str = ""
    """What the folder `archive` is a copy of; empty: there is none."""
    same: tuple[str, ...] = ("tree",)
    """tree: what git has committed; site: all files of the site; proposals: how many there are, by status."""
    again: tuple[int, ...] = (0,)
    """Exit codes with which the same command may end when it had done all before."""
    repeats: bool = False
    """Whether the same command, when it had done all before, does more of it: another proposal."""
    reads: bool = False
    """Whether it only reads the archive: a lock of a killed git is not its to take away, and the next writer's."""
    share: float = 1.0
    """Of the moments that are asked for: less where a training takes long."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Files beside the archive, by name."""


def scenarios() -> list[Scenario]:
    """All of them, the cheap ones first."""
    to = ("--archive", "archive", "--quiet")
    proposal = ("propose", "--protocol", "smoke", "--proposer", "evolve", "--n", "1", "--seed", "3", *to)
    kernel = next(iter(seed_variants().values())).source + "# of one's own\n"
    return [
        Scenario("init", ("init", "archive", "--quiet"), again=(0, 2)),
        Scenario(
            "import-csv", ("import-csv", "table.csv", "--name", "others", *to), "plain", inputs={"table.csv": CSV}
        ),
        Scenario("import-csv, no archive yet", ("import-csv", "table.csv", *to), inputs={"table.csv": CSV}),
        Scenario("merge", ("merge", "OTHER", *to), "plain"),
        Scenario("report", ("report", "--out", "site", *to), "other", same=("tree", "site"), reads=True),
        Scenario("writes of a search", (SCRIPT, "archive"), "plain"),
        Scenario(
            "evaluate --add, a new file",
            ("evaluate", "mine.py", "--add", "--protocol", "smoke", "--tasks", "Memorize", *to),
            "plain",
            same=("proposals",),
            share=0.2,
            inputs={"mine.py": kernel},
        ),
        Scenario(
            "evaluate --add, more seeds",
            (
                "evaluate",
                "delta_net_4layer",
                "--add",
                "--protocol",
                "smoke",
                "--tasks",
                "Memorize",
                "--seeds",
                "2",
                *to,
            ),
            "plain",
            same=("proposals",),
            share=0.2,
        ),
        Scenario("propose", proposal, "plain", same=("proposals",), repeats=True, share=0.3),
        Scenario("propose, no archive yet", proposal, "", same=("proposals",), repeats=True, share=0.1),
        Scenario(
            "propose --engine ray",
            (*proposal, "--engine", "ray"),
            "plain",
            same=("proposals",),
            repeats=True,
            share=0.05,
        ),
    ]


def make_bases(folder: Path) -> None:
    """The archives that scenarios start from, made once: `plain` has the seeds; `other` two real proposals more."""
    for name, make in _BASES.items():
        if not (folder / name).exists():
            draft = folder / f"{name}.draft"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            make(draft).rename(folder / name)
            shutil.rmtree(draft)


def _plain(folder: Path) -> Path:
    if cli.run(["init", str(folder / "archive"), "--quiet"]):
        raise SystemExit("archer init failed")
    return folder / "archive"


def _other(folder: Path) -> Path:
    root = Example(folder).root
    for branch in ("main", "predictions"):  # a copy has no remote to look at
        subprocess.run(["git", "-C", root, "branch", branch, f"origin/{branch}"], check=False, capture_output=True)
    subprocess.run(["git", "-C", root, "remote", "remove", "origin"], check=True)
    for merged in (root / "proposals").glob("*/merged.json"):
        merged.unlink()
    subprocess.run(["git", "-C", root, "add", "--all"], check=True)
    subprocess.run(["git", "-C", root, *IDENTITY, "commit", "--quiet", "-m", "No origin"], check=True)
    return root


_BASES: dict[str, Callable[[Path], Path]] = {"plain": _plain, "other": _other}


def run_words(words: Sequence[str]) -> int:
    """Run a command of archer in this process, or the script; returns the exit code."""
    if words[0] == SCRIPT:
        try:
            return _search(Path(words[1]))
        except (ArchiveError, OSError) as error:  # as the command line does
            sys.stderr.write(f"{error}\n")
            return 2
    return cli.run(list(words))


def _search(root: Path) -> int:
    """What a search writes: a failed ask, a scored proposal, an interrupted one that ends, a confirmation, trials.

    It goes on where an earlier call was killed, as a search does.
    """
    archive = Archive(root)
    archive.recover()
    created = "2026-01-02T00:00:00Z"
    with archive.writing():  # here and below: nobody else tells it meanwhile, as a claimed name or a lock sees to
        if not archive.failed_asks():
            archive.tell_failed_ask(created, "no JSON", [Exchange(attempt=1, prompt="p" * 9000, reply="r")])
    first = make_record(name="first", protocol=SMOKE, created=created)
    with archive.writing():
        if archive.identity("first") is None:
            archive.tell(first, "# first\n")
    with archive.writing():
        if archive.identity("second") is None:
            archive.tell(make_record(Status.INTERRUPTED, name="second", protocol=SMOKE, created=created), "# second\n")
    with archive.writing():
        line = next(line for line in archive.lines() if line.name == "second")
        if line.status is Status.INTERRUPTED:
            number = archive.record("second").number
            ended = make_record(name="second", protocol=SMOKE, created=created, number=number)
            archive.retell(ended, "# second, to its end\n")
    trials = tuple(
        trial.model_copy(update={"seed": trial.seed + 10})
        for trial in make_trials(first.proposal.variant, 0.6, protocol=SMOKE)
    )
    confirmation = Confirmation(
        variant="first",
        against="delta_net_4layer",
        protocol=SMOKE.name,
        protocol_hash=SMOKE.hash,
        outcome="confirmed",
        first=Difference(mean=0.1, low=0.0, high=0.2, n=3),
        created=created,
    )
    if "first" not in archive.confirmations(SMOKE.name):
        archive.tell_confirmation(confirmation, trials)
    archive.tell_trials(trials)
    return 0
