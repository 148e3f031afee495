"""What a trial keeps of the untrusted messages of its training."""

from evaluator.protocols.built_in import SMOKE
from evaluator.protocols.protocol import trial_specs
from evaluator.training.graphs import REASON_CAP
from evaluator.trials.run_trial import TrainingLog
from variants.contract import Layer


def log() -> TrainingLog:
    return TrainingLog(SMOKE.job(trial_specs(SMOKE)[0], Layer.DELTA_NET))


def test_it_keeps_why_the_steps_were_not_captured() -> None:
    heard = log()
    heard.hear(1, 0.5, "")
    assert heard.eager == ""
    heard.hear(2, 0.5, "RuntimeError: operation not permitted when stream is capturing")
    assert heard.eager == "RuntimeError: operation not permitted when stream is capturing"


def test_a_reason_of_another_form_or_length_does_no_harm() -> None:
    heard = log()
    heard.hear(1, 0.5, {"a": 1})
    assert heard.eager == ""
    heard.hear(2, 0.5, "x" * 10_000)
    assert len(heard.eager) == REASON_CAP


def test_infinite_losses_are_no_points_of_the_curve() -> None:
    heard = log()
    heard.hear(1, float("inf"))
    heard.hear(2, 1.5)
    assert [(point.step, point.loss) for point in heard.curve] == [(2, 1.5)]
