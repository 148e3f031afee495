"""`archer doctor`: what this machine has, what is missing, and what to do about it."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from rich.markup import escape

from agent.commands.model_options import BaseUrlOption, CommandOption, LLMFileOption, ModelOption, PricesOption
from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption
from agent.errors import DONE, NO
from agent.proposers.llm.configuration.options import merged, one_by_one
from agent.proposers.llm.configuration.settings import KEY_VARIABLE, URL_VARIABLE, LLMSettings, withdraw_key
from agent.proposers.llm.endpoint.probe import probe
from agent.proposers.llm.errors import BusyError, EndpointError, UnnamedModelError
from agent.terminal.speech import Speech
from agent.words import counted, listed
from archive.errors import ArchiveError, GitMissingError
from archive.store import Archive
from evaluator.cores import usable_cores
from evaluator.device import best_device
from evaluator.outcomes import Grade
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.sandbox import Sandbox, SandboxUnavailable
from evaluator.sandbox.gpu_memory import nvml
from evaluator.sandbox.host import canaries


@dataclass(frozen=True)
class Sign:
    """One thing looked at. `missing` keeps archer from working; `warning` makes it work less well."""

    name: str
    state: Literal["ok", "warning", "missing"]
    found: str
    advice: str = ""


def doctor(
    model: ModelOption = None,
    command: CommandOption = None,
    base_url: BaseUrlOption = None,
    prices: PricesOption = None,
    llm_file: LLMFileOption = None,
    archive_path: ArchiveOption = DEFAULT_ARCHIVE,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check what this machine has and what is missing.

    It looks at Python, torch, git and the archive, attacks the sandbox to see whether it holds, and asks the language
    model for one token. The exit code is 1 if something is missing.

    Example: archer doctor
    """
    speech = Speech(as_json, quiet)
    llm = {"model": model, "command": command, "base_url": base_url, "prices": prices}
    models = list(_models(llm, llm_file))  # first: what is started from here on must not inherit the key
    signs = [_python(), _torch(), *_gpu(), _git(), *_sandbox(), *models, _archive(archive_path)]
    if as_json:
        speech.answer([asdict(sign) for sign in signs])
    style = {"ok": "green", "warning": "yellow", "missing": "bold red"}
    for sign in signs if not as_json else ():
        advice = f"\n{'':19} [dim]→ {escape(sign.advice)}[/]" if sign.advice else ""
        speech.out.print(f"[{style[sign.state]}]{sign.state:8}[/] {sign.name:9} {escape(sign.found)}{advice}")
    return NO if any(sign.state == "missing" for sign in signs) else DONE


def _python() -> Sign:
    return Sign("python", "ok", f"{platform.python_version()} on {platform.machine()}, {usable_cores()} cores")


def _torch() -> Sign:
    device = best_device()
    gpu, cpu = (
        [name for name, protocol in PROTOCOLS.items() if (protocol.precision == "bfloat16") is wanted]
        for wanted in (True, False)
    )
    wants = f"the protocol {listed(gpu)} needs a CUDA GPU; {listed(cpu)} are made for the CPU"
    advice = "" if device == "cuda" else wants
    return Sign("torch", "ok", f"{torch.__version__}, trains on {device}", advice)


def _gpu() -> Iterator[Sign]:
    if best_device() != "cuda":
        return
    found = torch.cuda.get_device_properties(0)
    advice = "" if nvml() else "install archer-search[gpu]: archer then watches the GPU memory of each run from outside"
    memory = f"{found.total_memory / 2**30:.0f} GiB, {torch.cuda.mem_get_info()[0] / 2**30:.0f} free"
    yield Sign("gpu", "warning" if advice else "ok", f"{found.name}, {memory}, CUDA {torch.version.cuda}", advice)


def _git() -> Sign:
    if shutil.which("git") is None:
        return Sign("git", "missing", "not found", "install it (Debian: apt install git)")
    version = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True, timeout=10)
    return Sign("git", "ok", version.stdout.strip())


def _sandbox() -> Iterator[Sign]:
    try:
        with Sandbox(minimum=Grade.D, device=best_device()) as sandbox:  # on a GPU, with its device files
            grade, attacks = sandbox.grade, canaries(sandbox)
    except SandboxUnavailable as error:
        yield Sign("sandbox", "missing", str(error), "archer runs no variant without one")
        return
    advice = {
        Grade.A: "",
        Grade.B: "install bubblewrap and allow user namespaces for grade A",
        Grade.C: "needs --sandbox C; a Linux kernel with Landlock (5.13 or newer) gives grade B",
        Grade.D: "needs --i-accept-unsandboxed; use Linux with seccomp and Landlock",
    }[grade]
    yield Sign("sandbox", "ok" if grade <= Grade.B else "missing", f"grade {grade}", advice)
    for name, stopped, detail in attacks:
        state: Literal["ok", "missing"] = "ok" if stopped else "missing"
        yield Sign("canary", state, f"{name}: {'stopped' if stopped else 'GOT THROUGH'} ({detail})")


def _models(llm: dict[str, Any], options: Path | None) -> Iterator[Sign]:
    """Each model that a search would ask, asked for one token."""
    key = withdraw_key(os.environ)
    try:
        given = merged(llm, options)
        named = given.get("base_url") or given.get("command") or os.environ.get(URL_VARIABLE)
        if not (key or named):
            advice = f"set {KEY_VARIABLE}, and {URL_VARIABLE} for another endpoint; else proposals come from evolution"
            state: Literal["warning", "missing"] = "missing" if given else "warning"
            yield Sign("model", state, "no endpoint configured", advice)
            return
        settings = [LLMSettings.resolve(os.environ, key, **each) for each in one_by_one(given)]
    except EndpointError as error:
        yield Sign("model", "missing", error.message)
        return
    for each in settings:
        yield _model(each)


def _model(settings: LLMSettings) -> Sign:
    where = "as a command" if settings.command is not None else f"at {settings.public_url}"
    try:
        found = probe(settings)
    except BusyError as error:
        return Sign("model", "warning", error.message, "it answers, but not now; try again later")
    except UnnamedModelError as error:
        return Sign("model", "warning", error.message, "the endpoint answers; name a model to have it asked")
    except EndpointError as error:
        return Sign("model", "missing", error.message)
    tokens = f"{_count(found.prompt_tokens)} tokens in, {_count(found.reply_tokens)} out"
    cost = "cost unknown" if found.usd is None else f"cost {found.usd:.6f} USD"
    window = f", window of {found.window} tokens" if found.window else ""
    return Sign("model", "ok", f"{found.model} {where} answers in {found.seconds:.1f} s ({tokens}, {cost}{window})")


def _count(tokens: int | None) -> str:
    return "unknown" if tokens is None else str(tokens)


def _archive(path: Path) -> Sign:
    if not path.exists():
        return Sign("archive", "ok", f"none at {path} yet; `archer propose` makes it")
    try:
        archive = Archive(path)
        damage = archive.damage()
    except GitMissingError:
        return Sign("archive", "warning", f"{path}: cannot be opened without git")
    except ArchiveError as error:
        return Sign("archive", "missing", str(error))
    count = f"{path}: {counted(len(archive.ids()), 'proposal')}"
    if not damage:
        return Sign("archive", "ok", count)
    first = next(iter(damage.values()))
    return Sign("archive", "missing", f"{count}, of which {len(damage)} cannot be read: {first}", "run `archer verify`")
