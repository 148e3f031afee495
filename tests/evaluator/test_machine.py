"""What is recorded of the machine."""

from pathlib import Path

import pytest

from evaluator.machine import versions

TWO_CORES = """processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 1
model name	: AMD EPYC
stepping	: 1

processor	: 1
cpu family	: 25
model		: 1
model name	: AMD EPYC
"""


@pytest.mark.parametrize(
    ("text", "cpu"), [(TWO_CORES, "AMD EPYC (family 25, model 1)"), ("model name\t: Some CPU\n", "Some CPU")]
)
def test_a_processor_is_told_from_others_of_its_name(monkeypatch: pytest.MonkeyPatch, text: str, cpu: str) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    monkeypatch.setattr("evaluator.machine._digest", lambda: "0")
    assert versions.__wrapped__()["cpu"] == cpu
