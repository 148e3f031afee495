"""Programs as models: real processes, which read the prompt on standard input and print the reply."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.cli import run
from agent.listener import Listener, heard_by
from agent.proposers.llm.configuration.scrub import public_command
from agent.proposers.llm.configuration.settings import LLMSettings, form_for
from agent.proposers.llm.endpoint.client import Endpoint, HttpAttempt, Request
from agent.proposers.llm.endpoint.command import prompt_text
from agent.proposers.llm.errors import BudgetExceededError, EndpointError
from agent.proposers.llm.proposer import OpenAIProposer
from agent.proposers.replay import rebuild
from archive.records.record import Record
from archive.store import Archive
from tests.waiting import PATIENCE, runs, wait_until

pytestmark = pytest.mark.slow
KEY = "sk-test-0123456789-secret"
REPLIES = Path(__file__).parent / "replies"
HELLO = Request(({"role": "system", "content": "be brief"}, {"role": "user", "content": "héllo"}), {}, seed=7)


def python(code: str) -> str:
    """A command line that runs this code."""
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LLMSettings]:
    """Settings that ask a command."""
    monkeypatch.setattr("agent.proposers.llm.endpoint.client.FIRST_WAIT", 0.05)
    limits = {"deadline_seconds": 2 * PATIENCE, "attempt_seconds": PATIENCE, "attempts": 2}
    return lambda line, **options: LLMSettings.resolve({}, KEY, command=line, **(limits | options))


def ask(settings: LLMSettings) -> HttpAttempt:
    endpoint = Endpoint(settings)
    return endpoint.complete(HELLO, time.monotonic() + settings.deadline_seconds, lambda _: None)


def has_ended(pid: int) -> bool:
    wait_until(lambda: not runs(pid), "the end of the command")
    return True


def pid_in(path: Path) -> int:
    """The process that the command wrote of, once it has."""
    wait_until(lambda: path.exists() and path.read_text().strip(), "the start of the command")
    return int(path.read_text())


def test_it_reads_the_prompt_and_its_output_is_the_reply(command: Callable[..., LLMSettings]) -> None:
    reply = ask(command("cat - && echo ünd tschüss"))
    assert reply.text == "be brief\n\nhéllo\nünd tschüss\n"
    assert reply.finish == "stop"
    assert reply.usage["usd"] is None, "what a command costs is unknown, and not 0"


def test_a_shell_reads_the_line(command: Callable[..., LLMSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAVOUR", "vanilla")
    assert ask(command('wc -l | tr -d " \\n"; printf " $FLAVOUR"')).text == "3 vanilla"


def test_its_environment_is_the_users_with_the_key_and_neither_is_recorded(
    command: Callable[..., LLMSettings], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "other-0123456789")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    seen = tmp_path / "seen"
    line = f'printf "%s %s" "$OPENAI_API_KEY" "$OTHER_API_KEY" | tee {seen}; echo " $OTHER_API_KEY" >&2'
    reply = ask(command(line, journal=tmp_path / "journal.jsonl"))
    assert seen.read_text() == f"{KEY} other-0123456789"
    assert reply.text == "[key] [key]"
    written = (tmp_path / "journal.jsonl").read_text()
    assert KEY not in written
    assert "other-0123456789" not in written
    assert "OPENAI_API_KEY" not in os.environ


def test_a_proposal_by_a_command_is_recorded_and_replayed_like_any_other(
    command: Callable[..., LLMSettings], snapshot: Callable[..., ArchiveSnapshot], record: Callable[..., Record]
) -> None:
    line = f"cat {shlex.quote(str(REPLIES / 'scripted_correct.json'))}"
    made = OpenAIProposer(command(line)).ask(snapshot(seed=3))
    assert made.proposal.provenance.model == line
    assert json.loads(made.exchanges[0].prompt)["request"] == {"command": line}
    assert made.exchanges[0].reply
    kept = Record.model_validate_json(record(made).model_dump_json())
    assert rebuild(kept) == made.proposal


def test_a_bad_reply_goes_back_with_what_is_wrong(
    command: Callable[..., LLMSettings], snapshot: Callable[..., ArchiveSnapshot], tmp_path: Path
) -> None:
    """The second prompt holds the first one, the reply, and the fault."""
    prompts, good = tmp_path / "prompts", REPLIES / "scripted_correct.json"
    line = (
        f'cat >> {prompts}; if grep -q "cannot be used" {prompts}; then cat {good}; else echo "I would rather not"; fi'
    )
    made = OpenAIProposer(command(line)).ask(snapshot())
    assert len(made.exchanges) == 2
    told = prompts.read_text()
    assert "Your reply was:\n\nI would rather not" in told
    assert "This reply cannot be used." in told


def test_an_exit_code_and_its_last_words_are_the_error(command: Callable[..., LLMSettings]) -> None:
    with pytest.raises(
        EndpointError, match=r"ended with exit code 3; it says: no such\s+model: gpt-9; gave up after 2"
    ) as caught:
        ask(command('echo "no such\nmodel: gpt-9" >&2; exit 3'))
    assert caught.value.passing
    assert "\n" not in str(caught.value)
    with pytest.raises(EndpointError, match=r"was ended by signal 9"):
        ask(command("kill -9 $$"))


def test_its_last_words_are_scrubbed(command: Callable[..., LLMSettings]) -> None:
    with pytest.raises(EndpointError, match=r"wrong key \[key\]") as caught:
        ask(command('echo "wrong key $OPENAI_API_KEY" >&2; exit 1'))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("line", ["no-such-program-anywhere", "/etc/passwd"])
def test_a_command_that_does_not_run_is_said_at_once(command: Callable[..., LLMSettings], line: str) -> None:
    with pytest.raises(EndpointError, match=r"does not run \(exit code 12[67]\).*check --command") as caught:
        ask(command(line))
    assert not caught.value.passing


def test_silence_is_no_reply(command: Callable[..., LLMSettings]) -> None:
    with pytest.raises(EndpointError, match="printed no reply; it says: not today"):
        ask(command("cat > /dev/null; echo not today >&2"))


def test_a_rate_limit_in_its_words_is_waited_for(command: Callable[..., LLMSettings], tmp_path: Path) -> None:
    counter = tmp_path / "tries"
    busy = 'echo "Error 429: rate limit" >&2; exit 1'
    line = f"echo x >> {counter}; if [ $(wc -l < {counter}) -gt 4 ]; then echo fine; else {busy}; fi"
    assert ask(command(line, attempts=1)).text == "fine\n"
    assert len(counter.read_text().split()) == 5


def test_a_program_that_reads_nothing_and_one_that_colours_its_words_are_fine(
    command: Callable[..., LLMSettings],
) -> None:
    long = Request(({"role": "user", "content": "word " * 200_000},), {}, seed=0)
    endpoint = Endpoint(command("printf '\\033[1;31mred\\033[0m'"))
    assert endpoint.complete(long, time.monotonic() + PATIENCE, lambda _: None).text == "red"


def test_a_command_that_takes_too_long_ends_with_its_children(
    command: Callable[..., LLMSettings], tmp_path: Path
) -> None:
    child = tmp_path / "child"
    with pytest.raises(EndpointError, match=r"did not end within 5 s; it says: thinking"):
        ask(command(f"echo thinking >&2; sleep 600 & echo $! > {child}; wait", attempt_seconds=5, attempts=1))
    assert has_ended(pid_in(child))


def test_one_that_ignores_being_asked_to_end_is_ended(command: Callable[..., LLMSettings], tmp_path: Path) -> None:
    own = tmp_path / "own"
    code = "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    code += f"open({str(own)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    stopped_by(own, Endpoint(command(python(code))))
    assert has_ended(pid_in(own))


def test_output_without_end_is_cut(command: Callable[..., LLMSettings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.proposers.llm.endpoint.command.LONGEST_OUTPUT", 100_000)
    with pytest.raises(EndpointError, match="printed more than 100,000 bytes"):
        ask(command("yes", attempts=1))


def test_what_it_leaves_behind_does_not_hold_up_the_reply(command: Callable[..., LLMSettings], tmp_path: Path) -> None:
    child = tmp_path / "child"
    assert ask(command(f"sleep 600 & echo $! > {child}; echo fine")).text == "fine\n"
    assert has_ended(pid_in(child))


def test_stopping_ends_it_with_its_children(command: Callable[..., LLMSettings], tmp_path: Path) -> None:
    child = tmp_path / "child"
    stopped_by(child, Endpoint(command(f"sleep 600 & echo $! > {child}; wait")))
    assert has_ended(pid_in(child))


def stopped_by(begun: Path, endpoint: Endpoint) -> None:
    """Ask, and cancel that once there is a process id in the file."""

    def stop() -> None:
        pid_in(begun)
        endpoint.cancel()

    threading.Thread(target=stop).start()
    with pytest.raises(EndpointError, match="cancelled"):
        endpoint.complete(HELLO, time.monotonic() + PATIENCE, lambda _: None)


def test_progress_is_told(command: Callable[..., LLMSettings], tmp_path: Path) -> None:
    heard = tmp_path / "heard"

    def hear(told: str) -> None:
        if told == "100 tokens of the reply":
            heard.touch()

    with heard_by(Listener(detail=hear)):
        ask(command(f"printf '%400s' x; until [ -e {heard} ]; do sleep 0.05; done"))
    assert heard.exists()


def test_a_hard_limit_needs_a_price_of_the_command(command: Callable[..., LLMSettings], tmp_path: Path) -> None:
    with pytest.raises(BudgetExceededError, match="without the price of echo fine"):
        Endpoint(command("echo fine", max_usd=1.0))
    (tmp_path / "prices.toml").write_text('[models."echo fine"]\ninput = 0\noutput = 10.0\n')
    priced = command("echo fine", max_usd=0.2, prices=tmp_path / "prices.toml", reply_tokens=16_000)
    endpoint = Endpoint(priced)
    endpoint.complete(HELLO, time.monotonic() + PATIENCE, lambda _: None)
    assert endpoint.budget.spent == pytest.approx(0.16), "it does not say what it used: it counts as all it could have"
    with pytest.raises(BudgetExceededError):
        endpoint.complete(HELLO, time.monotonic() + PATIENCE, lambda _: None)


def test_its_name_is_the_command_without_secrets_and_tells_the_size_of_its_model(
    command: Callable[..., LLMSettings],
) -> None:
    line = 'curl  -H "Authorization: Bearer abcdef0123456789"\n https://me:pw@host/?key=abcdef'
    assert public_command(line) == 'curl -H "Authorization: Bearer [key]" https://host/?key=[key]'
    assert public_command("llm -m x --api-key sk-0123456789abcdef") == "llm -m x --api-key [key]"
    assert public_command("llm -m gpt-5 --max-tokens 16000") == "llm -m gpt-5 --max-tokens 16000"
    names = {line: form_for(command(line), line) for line in ("ollama run qwen2.5-coder:1.5b", "timeout 5m agent -p")}
    assert list(names.values()) == ["structured", "code"]


def test_later_turns_have_headings() -> None:
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    assert prompt_text(messages) == "S\n\nU\n"
    later = [*messages, {"role": "assistant", "content": "A"}, {"role": "user", "content": "wrong"}]
    assert prompt_text(later) == "S\n\nU\n\nYour reply was:\n\nA\n\nNow:\n\nwrong\n"


PROPOSE = ["propose", "--n", "1", "--jobs", "1", "--protocol", "smoke", "--parent", "delta_net_4layer", "--json"]


@pytest.mark.usefixtures("tiny_smoke")
def test_propose_asks_a_command_and_the_kernel_sees_none_of_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("SECRET_OF_THE_USER", "hush-0123456789")
    good, archive = REPLIES / "scripted_correct.json", tmp_path / "archive"
    line = f'cat > /dev/null; [ "$SECRET_OF_THE_USER" = hush-0123456789 ] && cat {good}'
    assert run([*PROPOSE, "--command", line, "--archive", str(archive)]) == 0
    (made,) = json.loads(capsys.readouterr().out)
    assert (made["status"], made["proposer"]) == ("SCORED", "openai")
    (kept,) = Archive(archive).records()
    assert kept.proposal.provenance.model == " ".join(line.split())
    assert run(["replay", kept.id, "--archive", str(archive), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == "identical"
    files = [path.read_bytes() for path in archive.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in files)


def test_ctrl_c_ends_the_command_with_its_children(tmp_path: Path) -> None:
    """A real archer in a real terminal's stead: one SIGINT, and nothing of the command is left."""
    child = tmp_path / "child"
    line = f"sleep 600 & echo $! > {child}; wait"
    arguments = [*PROPOSE, "--command", line, "--archive", str(tmp_path / "archive")]
    archer = subprocess.Popen(
        [sys.executable, "-m", "agent.cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[4],
    )
    try:
        pid = pid_in(child)
        assert archer.poll() is None
        archer.send_signal(signal.SIGINT)
        assert archer.wait(PATIENCE) == 130
        assert has_ended(pid)
    finally:
        archer.kill()
        archer.wait()


def test_an_option_that_is_no_command_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, faults: Any
) -> None:
    code = run([*PROPOSE, "--command", " ", "--archive", str(tmp_path / "a"), "--quiet"])
    assert code == 2
    assert "command" in capsys.readouterr().err
    assert not faults.requests
