"""The file of --llm: read, overridden by the command line, refused where it is wrong."""

import os
import re
from pathlib import Path

import pytest

from agent.cli import run
from agent.proposers.llm.configuration.options import FILE_OPTIONS, read_options
from agent.proposers.llm.errors import EndpointError
from agent.proposers.open_proposer import Choice, require_model
from archive.seeding import make_archive


def test_options_come_from_the_file_and_the_command_line_overrides_them(tmp_path: Path) -> None:
    file = tmp_path / "llm.toml"
    file.write_text('model = "m"\nreply_tokens = 900\ndeadline_seconds = 60\ntemperature = 0.7\nprices = "p.toml"\n')
    archive = make_archive(tmp_path / "archive")
    found = Choice("auto", None, 1, {"model": "other", "form": None}, file).settings(archive)
    assert found["model"] == "other"
    assert (found["reply_tokens"], found["deadline_seconds"], found["temperature"]) == (900, 60, 0.7)
    assert found["prices"] == tmp_path / "p.toml", "relative to the file"
    assert "form" not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reply_token = 900", "no option is called reply_token; there are base_url, model, form,"),
        ('key = "sk-1"', "a key does not belong into a file; set OPENAI_API_KEY"),
        ('journal = "x"', "no option is called journal"),
        ("reply_tokens 900", "a TOML file is expected"),
        (f"a{'.a' * 200_000} = 1", "line 1 has 400,005 characters, and at most 2,000 are read; a TOML file is"),
        (f"a = {'[' * 1_500}", "the brackets are nested too deeply"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_good_is_said_in_a_line(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "llm.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(EndpointError, match=re.escape(message)) as caught:
        read_options(file)
    assert "sk-1" not in str(caught.value)


def test_a_value_out_of_range_ends_the_command_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    (tmp_path / "llm.toml").write_text('model = "m"\ntemperature = 9\n')
    code = run(["propose", "--llm", str(tmp_path / "llm.toml"), "--archive", str(tmp_path / "a"), "--quiet"])
    assert code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said == ["archer: option temperature: it should be less than or equal to 2"]
    assert "OPENAI_API_KEY" not in os.environ


def test_the_help_and_the_documentation_name_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    run(["propose", "--help"])
    helped = re.sub(r"[\s│]+", "", capsys.readouterr().out)
    documented = (Path(__file__).parents[4] / "docs" / "llm.md").read_text(encoding="utf-8")
    for name in FILE_OPTIONS:
        assert name in helped
        assert f"`{name}`" in documented


MODEL_OPTIONS = [
    ["--model", "m"],
    ["--max-usd", "1"],
    ["--form", "code"],
    ["--reply-tokens", "900"],
    ["--context-tokens", "4000"],
    ["--prices", "prices.toml"],
    ["--prompts", "prompts"],
    ["--llm", "llm.toml"],
]


@pytest.mark.parametrize("options", MODEL_OPTIONS, ids=lambda options: options[0])
def test_a_model_that_was_asked_for_is_never_replaced_by_evolution(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ARCHER_LLM", "ARCHER_ARCHIVE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "llm.toml").write_text('model = "m"\n')
    assert run(["propose", "--protocol", "smoke", *options]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"archer: {options[0]}")
    assert "set OPENAI_API_KEY, or name an endpoint with --base-url" in said
    assert not (tmp_path / "archer-archive").exists()


@pytest.mark.parametrize(
    "options", [*MODEL_OPTIONS[:-1], ["--command", "cat"], ["--gguf", "m.gguf"], ["--base-url", "http://h/v1"]]
)
@pytest.mark.parametrize("proposer", ["evolve", "random", "replay:1"])
def test_a_proposer_that_asks_no_model_takes_no_option_of_one(
    proposer: str,
    options: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARCHER_ARCHIVE", raising=False)
    assert run(["propose", "--protocol", "smoke", "--proposer", proposer, *options]) == 2
    assert f"{options[0]}: no language model is asked with --proposer {proposer}" in capsys.readouterr().err
    assert not (tmp_path / "archer-archive").exists()


def test_a_file_of_options_that_is_always_set_does_not_keep_evolution_from_being_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ARCHER_LLM` stands in the environment, and `--proposer evolve` is typed today."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "llm.toml").write_text('model = "m"\n')
    require_model(Choice("evolve", None, 1, {"model": None, "command": None}, tmp_path / "llm.toml"))
