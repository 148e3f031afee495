"""`archer doctor`: what this machine has, what is missing, and what to do about it."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from rich.markup import escape

from agent.commands.options import DEFAULT_ARCHIVE, ArchiveOption, JsonOption, QuietOption
from agent.errors import DONE, NO
from agent.terminal.speech import Speech
from agent.words import counted
from archive.errors import ArchiveError
from archive.store import Archive
from evaluator.device import best_device
from evaluator.outcomes import Grade
from evaluator.sandbox import Sandbox, SandboxUnavailable
from evaluator.sandbox.host import canaries


@dataclass(frozen=True)
class Sign:
    """One thing looked at. `missing` keeps archer from working; `warning` makes it work less well."""

    name: str
    state: Literal["ok", "warning", "missing"]
    found: str
    advice: str = ""


def doctor(archive: ArchiveOption = DEFAULT_ARCHIVE, as_json: JsonOption = False, quiet: QuietOption = False) -> int:
    """Check what this machine has and what is missing.

    It looks at Python, torch, git, the language model and the archive, and attacks the sandbox to see whether it holds.
    The exit code is 1 if something is missing.

    Example: archer doctor
    """
    speech = Speech(as_json, quiet)
    signs = [_python(), _torch(), _git(), *_sandbox(), _endpoint(), _archive(archive)]
    if as_json:
        speech.answer([asdict(sign) for sign in signs])
    style = {"ok": "green", "warning": "yellow", "missing": "bold red"}
    for sign in signs if not as_json else ():
        advice = f"\n{'':19} [dim]→ {escape(sign.advice)}[/]" if sign.advice else ""
        speech.out.print(f"[{style[sign.state]}]{sign.state:8}[/] {sign.name:9} {escape(sign.found)}{advice}")
    return NO if any(sign.state == "missing" for sign in signs) else DONE


def _python() -> Sign:
    return Sign("python", "ok", f"{platform.python_version()} on {platform.machine()}, {os.cpu_count()} cores")


def _torch() -> Sign:
    device = best_device()
    advice = "" if device == "cuda" else "the protocol mad needs a CUDA GPU; smoke and quick are made for the CPU"
    return Sign("torch", "ok", f"{torch.__version__}, trains on {device}", advice)


def _git() -> Sign:
    if shutil.which("git") is None:
        return Sign("git", "missing", "not found", "install it (Debian: apt install git)")
    version = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True, timeout=10)
    return Sign("git", "ok", version.stdout.strip())


def _sandbox() -> Iterator[Sign]:
    try:
        with Sandbox(minimum=Grade.D) as sandbox:
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


def _endpoint() -> Sign:
    base = os.environ.get("OPENAI_BASE_URL", "")
    if os.environ.get("OPENAI_API_KEY") or base:
        return Sign(
            "model",
            "ok",
            f"endpoint {base or 'api.openai.com'}, key {'set' if os.environ.get('OPENAI_API_KEY') else 'not set'}",
        )
    advice = "set OPENAI_API_KEY, and OPENAI_BASE_URL for another endpoint; without, proposals come from evolution"
    return Sign("model", "warning", "no endpoint configured", advice)


def _archive(path: Path) -> Sign:
    if not path.exists():
        return Sign("archive", "ok", f"none at {path} yet; `archer propose` makes it")
    try:
        return Sign("archive", "ok", f"{path}: {counted(len(Archive(path).ids()), 'proposal')}")
    except ArchiveError as error:
        return Sign("archive", "missing", str(error))
