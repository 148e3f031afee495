"""`archer propose` over real HTTP, with the real checks, sandbox, training and archive; only the model is scripted."""

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli import run
from agent.terminal.progress import Heartbeat
from archive.records.record import Record
from archive.store import Archive
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("lent_sandbox")]
KEY = "sk-test-0123456789-secret"
Propose = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def propose(faults: Any, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Propose:
    """Runs one `archer propose` against the fault server; returns exit code, printed records and standard error."""
    monkeypatch.setattr("agent.proposers.llm.endpoint.client.FIRST_WAIT", 0.05)

    def call(*options: str) -> tuple[int, list[dict[str, Any]], str]:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        endpoint = ["--base-url", faults.url, "--model", "scripted", "--parent", "delta_net_4layer"]
        where = ["--protocol", "smoke", "--archive", str(archive), "--json"]
        code = run(["propose", "--n", "1", "--jobs", "1", *endpoint, *where, *options])
        printed = capsys.readouterr()
        assert KEY not in printed.out + printed.err
        assert "OPENAI_API_KEY" not in os.environ, "what is started from here on inherits no key"
        return code, json.loads(printed.out) if printed.out.strip() else [], printed.err

    return call


def nothing_leaked(archive: Path) -> bool:
    files = [path for path in archive.rglob("*") if path.is_file()]
    return len(files) > 20 and not any(KEY.encode() in path.read_bytes() for path in files)


def nothing_leaked_into_git(archive: Path) -> bool:
    """Git compresses what it keeps: every object is unpacked to look for the key."""
    listed = ["git", "-C", str(archive), "cat-file", "--batch-all-objects", "--batch"]
    objects = subprocess.run(listed, capture_output=True, check=True).stdout
    return b"exchange.jsonl" in objects and KEY.encode() not in objects


def environments_of_children() -> list[bytes]:
    """Of all descendants of this process, on Linux; the sandbox's among them."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = set[int](), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    readable = []
    for pid in found:
        with contextlib.suppress(OSError):
            readable.append(Path(f"/proc/{pid}/environ").read_bytes())
    return readable


def test_a_leaky_kernel_is_repaired_to_a_scored_variant(
    faults: Any,
    propose: Propose,
    archive: Path,
    reply: Callable[[str], str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environments: list[bytes] = []

    def looking(handler: Any) -> None:
        environments.extend(environments_of_children())
        faults.status(429, Retry_After="0.1")(handler)

    faults.script = [
        looking,
        faults.says("{"),
        faults.says(reply("leaky")),
        faults.says(reply("hostile")),
        faults.says(reply("correct")),
    ]
    code, _, _ = propose()
    assert code == 0
    records = Archive(archive).records()
    assert [str(record.status) for record in records] == ["REJECTED", "REJECTED", "SCORED"]
    leaky, hostile, correct = records
    assert leaky.reason.split(":")[0] in ("causality", "prefix", "gradients")
    assert hostile.reason.startswith("fence")
    assert leaky.reason in faults.requests[3]["messages"][-1]["content"], "the counterexample goes back"
    assert hostile.reason in faults.requests[4]["messages"][-1]["content"]
    assert [len(record.exchanges) for record in records] == [3, 1, 1]
    assert correct.scorecard is not None
    assert nothing_leaked(archive)
    assert nothing_leaked_into_git(archive)
    assert not any(KEY.encode() in environment for environment in environments)
    assert environments or not Path("/proc/self/environ").exists()
    replays_here_and_elsewhere(archive, correct, tmp_path / "elsewhere", capsys)


def replays_here_and_elsewhere(
    archive: Path, record: Record, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here all is identical; in a clone whose record says that it was made elsewhere, noise is told from difference."""

    def replay(root: Path, tasks: str) -> tuple[int, dict[str, Any]]:
        code = run(["replay", record.id, "--evaluate", "--tasks", tasks, "--archive", str(root), "--json", "--quiet"])
        return code, json.loads(capsys.readouterr().out)

    code, answer = replay(archive, "Memorize,Compress")
    assert (code, answer["answer"]) == (0, "identical")
    steps = [step["part"] for step in answer["steps"]]
    assert list(dict.fromkeys(steps)) == ["prompt", "reply", "file", "protocol", "check", "training", "score"]
    assert (steps.count("training"), steps.count("score")) == (2, 2)
    subprocess.run(["git", "clone", "-q", str(archive), str(elsewhere)], check=True)
    trials = {trial.task: trial for trial in record.trials}
    torch = {**trials["Compress"].versions, "torch": "1.0", "cpu": "another"}
    near = {"versions": torch, "weights_hash": "0", "accuracy": (trials["Compress"].accuracy or 0) + 0.002}
    trials["Compress"] = trials["Compress"].model_copy(update=near)
    far = {"weights_hash": "0", "accuracy": 0.97}
    trials["Selective Copy"] = trials["Selective Copy"].model_copy(update=far)
    lines = "".join(trial.model_dump_json() + "\n" for trial in trials.values())
    (elsewhere / "proposals" / record.id / "trials.jsonl").write_text(lines)
    code, answer = replay(elsewhere, "Compress,Selective Copy")
    assert (code, answer["answer"]) == (1, "differs")
    training = {step["step"].split(" v")[0]: step for step in answer["steps"] if step["part"] == "training"}
    assert training["Compress"]["answer"] == "within noise"
    assert any(reason.startswith("torch was 1.0, is ") for reason in training["Compress"]["reasons"])
    low, high = training["Compress"]["interval"]
    assert low < near["accuracy"] < high
    assert training["Selective Copy"]["answer"] == "differs"
    assert {step["answer"] for step in answer["steps"] if step["part"] == "score"} == {"within noise", "differs"}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda s: s.html, "answers with a web page"),
        (lambda s: s.status(401, f"Incorrect API key provided: {KEY}"), "refuses the key (401"),
        (lambda s: s.status(429, Retry_After="86400"), "asks to wait 86400 s"),
        (lambda s: s.drop, "gave up after 4 attempts"),
    ],
    ids=["html", "401", "long Retry-After", "drop"],
)
def test_an_endpoint_that_cannot_be_used_ends_the_search_with_one_line(
    faults: Any, propose: Propose, archive: Path, fault: Any, message: str
) -> None:
    faults.script = [fault(faults)]
    code, records, err = propose("--quiet")
    assert code == 2
    assert records == []
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert nothing_leaked(archive)


def test_useless_replies_are_archived_as_a_failed_ask(
    faults: Any, propose: Propose, archive: Path, reply: Callable[[str], str]
) -> None:
    faults.script = [faults.says(reply("wrong_schema"))]
    code, records, err = propose()
    assert (code, records) == (1, []), "a proposal was asked for, and none was made"
    assert "no usable reply" in err
    kept = [path for path in archive.rglob("*") if path.is_file() and ".git/" not in str(path)]
    assert any('\\"score\\": \\"great\\"' in path.read_text() for path in kept), "the replies are archived"


def test_a_search_outlives_an_endpoint_that_breaks_for_a_while(
    faults: Any, propose: Propose, archive: Path, reply: Callable[[str], str]
) -> None:
    """The first ask is lost, with all its attempts; the next one finds the endpoint mended."""
    faults.script = [faults.status(500)] * 4 + [faults.says(reply("hostile"))]
    code, records, err = propose("--n", "2", "--repairs", "0")
    assert (code, [record["status"] for record in records]) == (0, ["REJECTED"])
    assert "no proposal 1: " in err
    assert "gave up after 4 attempts" in err


def test_a_search_ends_where_nothing_helps(faults: Any, propose: Propose, archive: Path) -> None:
    faults.script = [faults.status(500, "broken")]
    code, records, err = propose("--n", "9")
    assert (code, records) == (2, [])
    assert len(faults.requests) == 3 * 4, "three asks in a row, four attempts each"
    assert "broken); gave up after 4 attempts" in err.splitlines()[-1]


def test_the_limit_on_a_reply_is_set_on_the_command_line(
    faults: Any, propose: Propose, reply: Callable[[str], str]
) -> None:
    faults.script = [faults.says(reply("hostile"))]
    propose("--reply-tokens", "5000", "--repairs", "0")
    assert faults.requests[0]["max_tokens"] == 5000


def test_tokens_are_counted_while_they_come(
    faults: Any, propose: Propose, reply: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the output is no terminal, a line says now and then how far the reply is."""
    heard = threading.Event()

    def slow(handler: Any) -> None:
        handler.begin_events()
        handler.event(faults.piece(content="{" * 400))
        heard.wait(PATIENCE)
        handler.event(faults.piece("stop", content="}"))
        handler.event(faults.DONE)
        handler.wfile.write(b"0\r\n\r\n")

    class Watched(Heartbeat):
        def __init__(self, console: Any, lines: Callable[[], Any], every: float) -> None:
            super().__init__(console, lambda: self.look(lines()), 0.05)

        def look(self, lines: list[str]) -> list[str]:
            if any("100 tokens of the reply" in line for line in lines):
                heard.set()
            return lines

    monkeypatch.setattr("agent.terminal.progress.Heartbeat", Watched)
    faults.script = [slow, faults.says(reply("hostile"))]
    _, _, err = propose("--repairs", "0")
    assert heard.is_set()
    assert "asking: 0% 100 tokens of the reply" in err
