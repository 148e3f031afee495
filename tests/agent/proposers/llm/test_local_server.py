"""The server for `--gguf`: a real llama.cpp with a small model."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import UserError
from agent.proposers.llm.errors import EndpointError
from agent.proposers.llm.local_server.server import LocalServer
from agent.proposers.llm.several_models import SeveralModels
from agent.proposers.open_proposer import Choice, open_proposer
from archive.seeding import make_archive
from tests.waiting import runs, wait_until

ORPHAN = """
import sys, time
from pathlib import Path
from agent.proposers.llm.local_server.server import LocalServer
with LocalServer(Path(sys.argv[1])) as server:
    server.settings()
    print(server._child.pid, flush=True)
    time.sleep(3600)
"""


def test_it_serves_without_any_key_and_stops(smollm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-must-not-be-inherited")
    with LocalServer(smollm) as server:
        settings = server.settings(context_tokens=1500, model=None)
        assert server._child is not None
        process = Path(f"/proc/{server._child.pid}")
        if process.exists():  # Linux
            environment = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            assert b"sk-must-not-be-inherited" not in environment
            assert settings.key.get_secret_value().encode() not in environment
        assert settings.free
        assert (settings.context_tokens, settings.reply_tokens) == (1500, 1024)
        pid = server._child.pid
    assert not runs(pid)


def test_it_ends_with_archer_however_that_ends(smollm: Path) -> None:
    command = [sys.executable, "-c", ORPHAN, str(smollm)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[4]) as archer:
        assert archer.stdout is not None
        try:
            pid = int(archer.stdout.readline())
            assert runs(pid)
        finally:
            archer.kill()
    wait_until(lambda: not runs(pid), "the end of the server of a killed archer")


def test_a_file_that_is_no_model_is_a_clear_error(smollm: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(smollm.read_bytes()[:1000])
    with LocalServer(broken) as server, pytest.raises(EndpointError, match="does not load"):
        server.settings()
    with pytest.raises(EndpointError, match="no such file"), LocalServer(tmp_path / "none.gguf"):
        pass


def test_it_is_one_model_which_a_command_may_stand_beside(smollm: Path, tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive")
    several = Choice("auto", smollm, 1, {"model": ["a", "b"]})
    with pytest.raises(UserError, match="it is one model, and 2 are named"), open_proposer(several, archive):
        pass
    beside = Choice("auto", smollm, 1, {"command": ["echo hello"]})
    with open_proposer(beside, archive) as (proposer, who):
        assert isinstance(proposer, SeveralModels)
        assert proposer.models == (smollm.stem, "echo hello")
        assert who == f"openai (2 models: {smollm.stem} served on this machine, echo hello as a command)"
