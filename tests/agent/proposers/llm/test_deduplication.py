"""What a run has proposed already, and what the archive has."""

import pytest

from agent.proposers.llm import deduplication
from agent.proposers.llm.deduplication import Claims
from tests.builders import SOURCE, make_proposal, make_variant


def test_code_that_is_known_line_for_line_is_claimed_by_whoever_has_it():
    claims, known = Claims(), [make_variant("known", SOURCE)]
    assert claims.claim(make_proposal(make_variant("same", f"{SOURCE}# a comment\n")), known) == "known"
    other = make_variant("other", SOURCE.replace("return", "x = 1\n    return"))
    assert claims.claim(make_proposal(other), known) is None
    assert claims.claim(make_proposal(other), known) == "other"


def test_a_variant_of_the_archive_is_parsed_once_in_a_run(monkeypatch: pytest.MonkeyPatch):
    parsed: list[str] = []
    whole = deduplication.identity
    monkeypatch.setattr(deduplication, "identity", lambda source: parsed.append(source) or whole(source))
    claims = Claims()
    archived = [make_variant(f"known_{n}", f"{SOURCE}x{n} = {n}\n") for n in range(5)]
    for n in range(3):
        claims.claim(make_proposal(make_variant(f"new_{n}", f"{SOURCE}y{n} = {n}\n")), archived)
    assert len(parsed) == 5 + 3
