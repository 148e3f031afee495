"""`archer propose` over real HTTP, with the real checks, sandbox, training and archive; only the model is scripted."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.cli import run
from agent.proposers.replay import compare, rebuild
from archive.store import Archive

KEY = "sk-test-0123456789-secret"
Propose = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def propose(faults: Any, archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Propose:
    """Runs one `archer propose` against the fault server; returns exit code, printed records and standard error."""
    monkeypatch.setattr("agent.llm.endpoint.FIRST_WAIT", 0.05)

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
    faults: Any, propose: Propose, archive: Path, reply: Callable[[str], str]
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
    assert compare(correct, rebuild(correct)).different == ()
    assert nothing_leaked(archive)
    assert not any(KEY.encode() in environment for environment in environments)
    assert environments or not Path("/proc/self/environ").exists()


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
    _, records, err = propose()
    assert records == []
    assert "no usable reply" in err
    kept = [path for path in archive.rglob("*") if path.is_file() and ".git/" not in str(path)]
    assert any('\\"score\\": \\"great\\"' in path.read_text() for path in kept), "the replies are archived"
