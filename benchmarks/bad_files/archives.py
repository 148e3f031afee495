"""An archive that somebody else wrote, or damaged: every file of it, git's own among them, and all of it to merge.

The example is a real one, the first search by a model: proposals with their exchanges, confirmations, leaderboards.
"""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from agent.comparing.arms import Arm, ProposerBudget
from agent.errors import UserError
from agent.replaying.original import find_original
from agent.replaying.rebuilt import rebuilt_steps
from archive.errors import ArchiveError
from archive.frames import Frames
from archive.reader import Reader
from archive.store import Archive
from archive.verify import content_problems
from benchmarks.bad_files.contents import (
    Content,
    Special,
    broken_bytes,
    broken_json,
    broken_lines,
    broken_python,
    broken_text,
    files,
)
from benchmarks.bad_files.given import CSV
from benchmarks.bad_files.rule import FINDING, READ, Kind, command, put, refusing, standing
from evaluator.outcomes import Status
from evaluator.protocols.built_in import PROTOCOLS, QUICK
from evaluator.trials.trial_log import TrialLog

BUNDLE = Path(__file__).parents[1] / "archives" / "first-model-search.bundle"
ASK = "asks/2026-01-01T000000.000000+0000.jsonl"
GIT_FILES = (
    "HEAD",
    "config",
    "index",
    "packed-refs",
    "refs/heads/main",
    "refs/heads/predictions",
    "shallow",
    "info/exclude",
    "ORIG_HEAD",
)
COMMANDS = (
    ["list"], ["list", "--json"], ["show", "1"], ["show", "1", "--json"], ["leaderboard"], ["leaderboard", "--json"],
    ["leaderboard", "--front"], ["leaderboard", "--format", "csv"], ["versus", "1"], ["diff", "1"],
    ["diff", "1", "--json"],
    ["calibration"], ["calibration", "--json"], ["verify"], ["verify", "--json"], ["report", "--out", "SITE"],
)  # fmt: skip
Read = Callable[[], object]


class Example:
    """A copy of the real archive, and its files by what they hold."""

    def __init__(self, folder: Path) -> None:
        self.root, self.other = folder / "archive", folder / "other"
        _git(folder, "clone", "--quiet", str(BUNDLE), str(self.root))
        first, *_ = sorted((self.root / "proposals").iterdir())
        for more in sorted((self.root / "proposals").iterdir())[2:]:
            shutil.rmtree(more)
        for more in (
            path for name in ("quick", "smoke") for path in sorted((self.root / "trials" / name).iterdir())[2:]
        ):
            more.unlink()
        put(self.root / ASK, (first / "exchange.jsonl").read_bytes())
        put(
            self.root / f"proposals/{first.name}/merged.json",
            _bytes({"id": "0007-x", "commit": "0" * 40, "renamed": {"x": "y"}}),
        )
        _git(self.root, "add", "--all")
        _git(self.root, *IDENTITY, "commit", "--quiet", "--message", "An ask and an origin")
        Archive(self.root).rebuild_leaderboards()
        self.proposal = f"proposals/{first.name}"
        self.variant = f"variants/{first.name.partition('-')[2]}.py"

    def contents(self) -> dict[str, st.SearchStrategy[Content]]:
        """Contents for each kind of file, by path."""
        documents = [
            "archive.json",
            *(f"{self.proposal}/{name}.json" for name in ("proposal", "scorecard", "check", "merged")),
        ]
        documents.append(self._first("confirmations/quick/*.json"))
        lines = [f"{self.proposal}/trials.jsonl", f"{self.proposal}/exchange.jsonl", ASK]
        lines += [self._first("confirmations/quick/*.jsonl"), self._first("trials/quick/*.jsonl")]
        found = {path: files(broken_json([self._json(path)]), broken_bytes([self._bytes(path)])) for path in documents}
        found |= {path: files(broken_lines(self._lines(path))) for path in lines}
        found |= {
            path: files(broken_text([self._bytes(path)[:1500]], CSV))
            for path in ("leaderboards/published.csv", "leaderboards/quick.csv")
        }
        found[self.variant] = files(
            broken_python([self._bytes(self.variant)]), broken_bytes([self._bytes(self.variant)])
        )
        found[f"{self.proposal}/report.md"] = files(broken_bytes([self._bytes(f"{self.proposal}/report.md")]))
        return found

    def git_contents(self) -> dict[str, st.SearchStrategy[Content]]:
        """Contents for files of git's own."""
        found = {}
        for name in GIT_FILES:
            path = self.root / ".git" / name
            example = path.read_bytes() if path.is_file() else b"0" * 40 + b"\n"
            found[f".git/{name}"] = st.one_of(
                broken_bytes([example]), st.binary(max_size=60), st.sampled_from([Special.MISSING, Special.FOLDER])
            )
        return found

    def _first(self, pattern: str) -> str:
        return str(sorted(self.root.glob(pattern))[0].relative_to(self.root))

    def _bytes(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def _json(self, path: str) -> Any:
        return json.loads(self._bytes(path))

    def _lines(self, path: str) -> list[Any]:
        found = [json.loads(line) for line in self._bytes(path).splitlines()[:4]]
        return [line | {"curve": line["curve"][:3]} if "curve" in line else line for line in found]


IDENTITY = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "commit.gpgsign=false")


def kinds(folder: Path) -> list[Kind]:
    """All of them, with files in `folder`."""
    example = Example(folder)
    contents = example.contents()
    in_git = example.git_contents()
    reader = {path: _reading(example.root, path) for path in contents}
    found = [
        Kind(f"archive: {_told(path)}", own, reader[path], 3.0, 0.2)
        for path, own in contents.items()
        if "leaderboards/" not in path
    ]
    found.append(Kind("archive, commands", _choice(contents, COMMANDS), _commands(example.root, folder), 15.0, 0.2))
    found.append(Kind("git's files, commands", _choice(in_git, COMMANDS), _commands(example.root, folder), 15.0, 0.05))
    found.append(Kind("archive to merge", _choice(contents, [[]]), _merging(example, folder), 15.0, 0.05))
    found.append(_predictions(example))
    found.append(_index(example))
    found.append(_trial_log(example, folder))
    return found


def _told(path: str) -> str:
    parts = path.split("/")
    return (
        parts[-1]
        if parts[0] == "proposals" or len(parts) == 1
        else f"{parts[0]}/{'' if len(parts) == 2 else '*/'}*.{parts[-1].partition('.')[2].rpartition('.')[2]}"
    )


def _choice(contents: dict[str, Any], lines: Any) -> st.SearchStrategy[Any]:
    """A path, a content for it, and a command."""
    return st.one_of(*(st.tuples(st.just(path), own, st.sampled_from(lines)) for path, own in contents.items()))


def _reading(root: Path, path: str) -> Callable[[Content], str]:
    """Reads an archive by all that reads it without a command, with a content at a path."""

    def reading(content: Content) -> str:
        with standing(root / path, content):
            return refusing((ArchiveError, UserError), lambda: _whole(root))

    return reading


def _whole(root: Path) -> str | None:
    """Everything that is read of an archive; FINDING where `archer verify` would have one."""
    reader = Reader(root)
    found = [*content_problems(reader), *reader.damage().values()]
    for line in reader.lines():
        reader.raw_outline(line.id)
    for name in PROTOCOLS:
        for trials in reader.trials(name).values():
            list(trials)
    if found:
        return FINDING
    for _ in reader.failed_exchanges():
        pass
    for record in reader.records():
        json.dumps(record.model_dump(mode="json")).encode()
        record.model_dump_json()
        with contextlib.suppress(UserError):
            list(rebuilt_steps(find_original(reader, str(record.number), "quick")))  # type: ignore[arg-type]
    Arm.of(reader, QUICK, ProposerBudget(5, None))  # type: ignore[arg-type]
    frames = Frames(root)
    frames.proposals(), frames.scores(), frames.predictions(), frames.curves()
    return None


def _commands(root: Path, folder: Path) -> Callable[[Any], str]:
    def reading(drawn: tuple[str, Content, list[str]]) -> str:
        path, content, words = drawn
        with standing(root / path, content):
            return command(
                *(str(folder / "site") if word == "SITE" else word for word in words), "--archive", str(root)
            )

    return reading


def _merging(example: Example, folder: Path) -> Callable[[Any], str]:
    """Commits a content into a copy of the archive, and merges that into an empty one."""
    target, keep = folder / "target", folder / "target-kept"
    command("init", str(keep), "--quiet")

    def reading(drawn: tuple[str, Content, list[str]]) -> str:
        path, content, _ = drawn
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(keep, target)
        with standing(example.root / path, content):
            _git(example.root, "add", "--all", check=False)  # git takes no pipe and no socket
            _git(example.root, *IDENTITY, "commit", "--quiet", "--allow-empty", "--message", "Broken")
        try:
            end = command("merge", str(example.root), "--archive", str(target), "--quiet")
            if command("verify", "--archive", str(target)) != READ:
                raise AssertionError("what was merged makes an archive that is not whole")
            return end
        finally:
            _git(example.root, "reset", "--quiet", "--hard", "HEAD~1")

    return reading


def _predictions(example: Example) -> Kind:
    """Reads what the branch of predictions holds for a proposal, as `archer verify` does."""
    path = example.root / example.proposal / "proposal.json"
    real = json.loads(path.read_bytes())
    name = real["proposal"]["variant"]["name"]
    shown = ["git", "show", f"{real['predicted']}:{name}.json"]
    committed = subprocess.run(shown, cwd=example.root, check=True, capture_output=True).stdout

    def reading(content: Content) -> str:
        with standing(path, _bytes(real | {"predicted": _aside(example.root, f"{name}.json", content)})):
            archive = Archive(example.root)
            times = archive.prediction_times()

            def found() -> list[str]:
                return [each for record in archive.records() for each in archive.prediction_problems(record, times)]

            return refusing(ArchiveError, lambda: FINDING if found() else READ)

    return Kind(
        "predictions", st.one_of(broken_json([json.loads(committed)]), broken_bytes([committed])), reading, share=0.1
    )


def _aside(root: Path, name: str, content: Any) -> str:
    """Commit a content to the branch of predictions."""

    def git(*arguments: str, given: bytes = b"") -> str:
        done = subprocess.run(["git", *IDENTITY, *arguments], cwd=root, input=given, check=True, capture_output=True)
        return done.stdout.decode().strip()

    blob = git("hash-object", "-w", "--stdin", given=content)
    tree = git("mktree", given=f"100644 blob {blob}\t{name}\n".encode())
    commit = git("commit-tree", tree, "-m", "Broken")
    git("update-ref", "refs/heads/predictions", commit)
    return commit


def _index(example: Example) -> Kind:
    kept = example.root / ".git" / "archer-index.sqlite"
    Archive(example.root).lines()
    real = kept.read_bytes()

    def reading(content: Content) -> str:
        with standing(kept, content):
            return refusing(
                (ArchiveError, OSError), lambda: [Archive(example.root).lines(), list(Archive(example.root).history())]
            )

    return Kind("index of an archive", files(broken_bytes([real])), reading, share=0.2)


def _trial_log(example: Example, folder: Path) -> Kind:
    log = folder / "unfinished.jsonl"
    variant = next(iter(Reader(example.root).variants().values()))

    def reading(content: Content) -> str:
        put(log, content)
        return refusing((), lambda: TrialLog(log).ended(variant, QUICK, [], "sandbox"))

    lines = example._lines(f"{example.proposal}/trials.jsonl")
    return Kind("finished trials of a run", broken_lines(lines), reading)


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def _git(folder: Path, *arguments: str, check: bool = True) -> None:
    out = None if check else subprocess.DEVNULL
    subprocess.run(["git", *arguments], cwd=folder, check=check, stdin=subprocess.DEVNULL, stderr=out)


def scored(root: Path) -> int:
    """How many proposals of an archive have a score."""
    return sum(line.status is Status.SCORED for line in Reader(root).lines())
