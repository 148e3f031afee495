"""The server for `--gguf`: a real llama.cpp with a small model."""

import os
from pathlib import Path

import pytest

from agent.llm.errors import EndpointError
from agent.llm.local import LocalServer


def test_it_serves_without_any_key_and_stops(smollm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-must-not-be-inherited")
    with LocalServer(smollm, context_tokens=2048) as server:
        assert server._child is not None
        process = Path(f"/proc/{server._child.pid}")
        settings = server.settings()
        if process.exists():  # Linux
            environment = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            assert b"sk-must-not-be-inherited" not in environment
            assert settings.key.get_secret_value().encode() not in environment
        assert settings.free
        assert settings.context_tokens + settings.reply_tokens == 2048
        pid = server._child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_file_that_is_no_model_is_a_clear_error(smollm: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(smollm.read_bytes()[:1000])
    with pytest.raises(EndpointError, match="does not load"), LocalServer(broken):
        pass
    with pytest.raises(EndpointError, match="no such file"), LocalServer(tmp_path / "none.gguf"):
        pass
