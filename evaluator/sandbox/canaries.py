"""Proof of a sandbox: attacks from inside it, and which of them were stopped. What they show counts, no API's word."""

import time
from pathlib import Path

from evaluator.outcomes import Grade
from evaluator.sandbox.attacks import ATTACKS, ONLY_BY_LANDLOCK
from evaluator.sandbox.frames import Channel

Canary = tuple[str, bool, str]
"""What was tried, whether it was stopped, and by which error."""

ANSWER_SECONDS = 30.0


def release_canaries(channel: Channel, decoy: Path) -> list[Canary]:
    """Have the process at the other end make every attack. decoy: a file that it must not be able to read."""
    deadline = time.monotonic() + ANSWER_SECONDS
    decoy.write_text("a secret")
    decoy.chmod(0o600)
    results = []
    for name in ATTACKS:
        channel.send({"attacks": [name], "decoy": str(decoy)}, {}, deadline)
        body, _ = channel.receive(0, deadline)
        error = body["stopped"][name]
        results.append((name, bool(error), error or "nothing stopped it"))
    return results


def unexpected(canaries: list[Canary], grade: Grade) -> list[str]:
    """Attacks that got through and should not have at this grade."""
    if grade is Grade.D:
        return []
    open_ = ONLY_BY_LANDLOCK if grade is Grade.C else frozenset()
    return [name for name, stopped, _ in canaries if not stopped and name not in open_]
