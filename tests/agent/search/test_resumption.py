"""An interrupted proposal, gone on with where the log of trials is not: in a clone, or after a merge."""

import threading
from collections.abc import Mapping
from typing import Any, cast

import pytest
from rich.console import Console

from agent.search.attempt import AttemptInputs, Resumption, SearchResources
from agent.search.pipeline import Evaluated, Pipeline
from agent.terminal.progress import Progress
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import SMOKE
from evaluator.protocols.protocol import TrialSpec
from tests.builders import make_check, make_record, make_snapshot, make_trial, make_variant
from variants.contract import BASELINE


def test_what_the_record_has_is_not_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    variant = make_variant()
    ended = make_trial(variant, "Memorize", protocol=SMOKE)
    others = (
        make_trial(variant, "Compress", protocol=SMOKE, inherited_from=BASELINE),
        make_trial(variant, "Selective Copy", accuracy=None, status=Status.INTERRUPTED, protocol=SMOKE),
        make_trial(variant, "Noisy Recall", protocol=SMOKE, protocol_hash="0" * 16),
    )
    interrupted = make_record(Status.INTERRUPTED, protocol=SMOKE, number=7, trials=(ended, *others))
    seen: list[Mapping[TrialSpec, Trial]] = []

    def evaluate(*_: object, known: Mapping[TrialSpec, Trial], **__: object) -> Evaluated:
        seen.append(known)
        return Evaluated(Status.INTERRUPTED, "stopped again", make_check())

    monkeypatch.setattr(Pipeline, "check", lambda *_, **__: make_check())
    monkeypatch.setattr(Pipeline, "evaluate", evaluate)
    nothing = cast(Any, None)
    inputs = AttemptInputs(
        make_snapshot(), {}, nothing, nothing, threading.Event(), threading.Semaphore(), nothing, nothing
    )
    with Progress(Console(quiet=True), 1) as progress:
        resources = SearchResources(nothing, nothing, SMOKE, nothing)
        monkeypatch.setattr(SearchResources, "evaluator", lambda *_: None)
        (record,) = Resumption(resources, lambda: inputs, progress, 0, interrupted).run()
    assert [list(known.values()) for known in seen] == [[ended]]
    assert cast(Any, record).number == 7
