"""Scoring: right numbers for honest models, nothing for kernels that look ahead, failures for unusable weights."""

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor

from evaluator.model.backbones import LanguageModel, build
from evaluator.model.layers import initialise
from evaluator.outcomes import Failure
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.scoring import score as score_module
from evaluator.scoring.futures import draw_cuts, replace_future
from evaluator.scoring.score import NONCAUSAL_ABOVE, SCORING_BATCH, ScoredTrial, score
from evaluator.tasks.examples import IGNORED
from evaluator.tasks.registry import examples
from evaluator.tasks.task import Setting, TaskPlan
from evaluator.training.jobs import TrainingJob
from evaluator.training.train import train
from tests.evaluator.delta_rule import chunkwise, exploding, peeking
from variants.contract import Layer

SETTINGS = {
    "Compress": Setting(task="Compress", vocabulary=8, length=40, train_examples=64),
    "Context Recall": Setting(task="Context Recall", vocabulary=8, length=40, train_examples=640),
    "Memorize": Setting(task="Memorize", vocabulary=16, length=16, train_examples=64),
}


def protocol_of(task: str, steps: int = 2, cuts: int = 3, test_examples: int = 200) -> Protocol:
    plan = TaskPlan(
        settings=(SETTINGS[task],),
        lr=(1e-2,),
        weight_decay=(0.0,),
        batch=16,
        steps=steps,
        test_examples=test_examples,
        cuts=cuts,
    )
    return Protocol(name="test", tasks={task: plan}, seeds=(0,), width=16, inner=24)


def prepared(task: str, **changes: int) -> tuple[Protocol, TrialSpec, TrainingJob]:
    protocol = protocol_of(task, **changes)
    spec = trial_specs(protocol)[0]
    return protocol, spec, protocol.job(spec, Layer.DELTA_NET)


def trained(task: str, kernel: Callable[..., tuple[Tensor, Tensor]], steps: int) -> ScoredTrial | Failure:
    protocol, spec, job = prepared(task, steps=steps)
    weights = train(job.model_dump(mode="json"), protocol.training_data(spec), kernel, lambda _: None)
    return score(weights, job, protocol, spec, kernel)


def fresh(task: str, **changes: int) -> tuple[dict[str, Tensor], TrainingJob, Protocol, TrialSpec]:
    protocol, spec, job = prepared(task, **changes)
    model = LanguageModel(job.model, chunkwise)
    initialise(model, 0)
    return model.state_dict(), job, protocol, spec


@pytest.mark.slow
def test_an_honest_model_scores_as_it_does_on_the_plain_test_set() -> None:
    protocol, spec, job = prepared("Memorize", steps=80, cuts=8)
    weights = train(job.model_dump(mode="json"), protocol.training_data(spec), chunkwise, lambda _: None)
    scored = score(weights, job, protocol, spec, chunkwise)
    assert isinstance(scored, ScoredTrial)
    assert scored.predictions == 200 * 8
    model = LanguageModel(job.model, chunkwise)
    model.load_state_dict(weights)
    test = examples(protocol.setting(spec), "test", 200, spec.seed)
    where = test.targets != IGNORED
    with torch.no_grad():
        logits = model(test.inputs, where)
    plain = (logits.argmax(-1) == test.targets[where]).float().mean().item()
    assert scored.accuracy == pytest.approx(plain, abs=1e-6)
    assert scored.test_loss == pytest.approx(
        torch.nn.functional.cross_entropy(logits, test.targets[where]).item(), rel=1e-4
    )
    assert scored.accuracy > 0.9
    assert scored.certificate < 1e-5


def test_scoring_repeats() -> None:
    weights, job, protocol, spec = fresh("Context Recall")
    assert score(weights, job, protocol, spec, chunkwise) == score(weights, job, protocol, spec, chunkwise)


@pytest.mark.slow
def test_a_kernel_that_peeks_trains_well_and_fails() -> None:
    outcome = trained("Context Recall", peeking, steps=60)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "noncausal"


@pytest.mark.slow
def test_a_peeking_model_gains_nothing_even_without_the_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers with the next token, which is right in the plain test set and noise when it counts."""
    protocol, spec, job = prepared("Context Recall", steps=60)
    weights = train(job.model_dump(mode="json"), protocol.training_data(spec), peeking, lambda _: None)
    model = LanguageModel(job.model, peeking)
    model.load_state_dict(weights)
    test = examples(protocol.setting(spec), "test", 200, spec.seed)
    inner = (test.targets != IGNORED) & (torch.arange(test.inputs.shape[1]) < test.inputs.shape[1] - 1)
    plain = (model(test.inputs, inner).argmax(-1) == test.targets[inner]).float().mean().item()
    assert plain > 0.95
    monkeypatch.setattr("evaluator.scoring.score.NONCAUSAL_ABOVE", float("inf"))
    scored = score(weights, job, protocol, spec, peeking)
    assert isinstance(scored, ScoredTrial)
    assert scored.accuracy < 0.4  # there are four values
    assert scored.certificate > 0.1


def test_a_kernel_that_remembers_earlier_calls_never_meets_the_future_first() -> None:
    """For each sequence, what follows a cut is shown only by passes with a later cut, and last of all whole."""
    task = "Context Recall"
    weights, job, protocol, spec = fresh(task, test_examples=20)
    test = examples(protocol.setting(spec), "test", 20, spec.seed)
    fed: list[Tensor] = []
    original = LanguageModel.encode

    def spying(self: LanguageModel, tokens: Tensor) -> Tensor:
        fed.append(tokens)
        return original(self, tokens)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LanguageModel, "encode", spying)
        score(weights, job, protocol, spec, chunkwise)
    assert len(fed) == 4
    assert fed[-1].equal(test.inputs)
    agree = [int((tokens == test.inputs).int().cumprod(1).sum(1).sum()) for tokens in fed]
    assert agree == sorted(agree)
    assert agree[0] < agree[-1]


def test_the_certificate_covers_sequences_from_the_whole_test_set() -> None:
    """A kernel that looks ahead in one late batch only: the sequences of the last one are among those certified."""
    calls = 0
    layers, cuts, batches = 2, 3, 4

    def late(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        nonlocal calls
        calls += 1
        scored = calls > layers * cuts * (batches - 1) and calls <= layers * cuts * batches
        return (peeking if scored else chunkwise)(*inputs, chunk_size=chunk_size)

    weights, job, protocol, spec = fresh("Context Recall", test_examples=batches * 64)
    outcome = score(weights, job, protocol, spec, late)
    assert calls == layers * (cuts * batches + 2)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "noncausal"


@pytest.mark.slow
def test_the_autoencoder_is_scored_everywhere_and_its_encoder_must_be_causal() -> None:
    honest = trained("Compress", chunkwise, steps=2)
    assert isinstance(honest, ScoredTrial)
    assert honest.predictions == 200 * 40
    assert honest.certificate < 1e-5
    outcome = trained("Compress", peeking, steps=2)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "noncausal"


def test_tolerance_lets_half_of_the_digits_go() -> None:
    assert pytest.approx(3.45e-4, rel=1e-2) == NONCAUSAL_ABOVE


@pytest.mark.parametrize("break_it", ["missing", "extra", "shape", "dtype", "nan"])
def test_unusable_weights_are_the_variants_failure(break_it: str) -> None:
    weights, job, protocol, spec = fresh("Memorize")
    name = "layers.0.layer.qkv.weight"
    if break_it == "missing":
        del weights[name]
    else:
        broken = {
            "extra": ("surplus", torch.zeros(1)),
            "shape": (name, weights[name].t()),
            "dtype": (name, weights[name].double()),
            "nan": (name, torch.full_like(weights[name], float("nan"))),
        }
        weights |= [broken[break_it]]
    outcome = score(weights, job, protocol, spec, chunkwise)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "garbage"


def test_unusable_outputs_are_the_variants_failure() -> None:
    weights, job, protocol, spec = fresh("Memorize")

    def short(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        o, state = chunkwise(*inputs, chunk_size=chunk_size)
        return o[..., :-1], state

    for kernel in (exploding, short):
        outcome = score(weights, job, protocol, spec, kernel)
        assert isinstance(outcome, Failure)
        assert outcome.kind == "garbage"


def test_errors_of_the_kernel_pass_through() -> None:
    weights, job, protocol, spec = fresh("Memorize")

    def dead(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        raise ConnectionError("the child is gone")

    with pytest.raises(ConnectionError):
        score(weights, job, protocol, spec, dead)


def test_cuts_are_distinct_scored_positions_in_rising_order_and_uniform() -> None:
    targets = torch.full((4_000, 12), IGNORED)
    scored = torch.tensor([2, 5, 7, 11])
    targets[:, scored] = 1
    passes = list(draw_cuts(targets, 2, torch.Generator().manual_seed(0)))
    assert len(passes) == 2
    (first, counts), (second, also) = passes
    assert counts.all()
    assert also.all()
    assert (first < second).all()
    share = torch.cat([first, second]).bincount(minlength=12) / 8_000
    torch.testing.assert_close(share[scored], torch.full((4,), 0.25), atol=0.02, rtol=0)


def test_rows_with_few_scored_positions_have_passes_that_do_not_count() -> None:
    targets = torch.full((3, 6), IGNORED)
    targets[0, 2] = 1
    targets[1, 5] = 1
    targets[2, 1:4] = 1
    passes = list(draw_cuts(targets, 3, torch.Generator().manual_seed(0)))
    counts = torch.stack([counted for _, counted in passes], 1)
    cuts = torch.stack([cut for cut, _ in passes], 1)
    assert counts.sum(1).tolist() == [1, 1, 3]
    assert cuts[0][counts[0]].tolist() == [2]
    assert cuts[1][counts[1]].tolist() == [5]
    assert cuts[~counts].unique().tolist() == [5]


def test_the_future_is_replaced_uniformly_and_the_past_kept() -> None:
    inputs = torch.zeros(6_000, 10, dtype=torch.int64)
    cut = torch.arange(6_000) % 10
    replaced = replace_future(inputs, cut, 5, torch.Generator().manual_seed(0))
    future = torch.arange(10) > cut[:, None]
    assert (replaced[~future] == 0).all()
    share = replaced[future].bincount() / future.sum()
    torch.testing.assert_close(share, torch.full((5,), 0.2), atol=0.02, rtol=0)


class Remembering:
    """A kernel that adds what it kept of the calls before, and answers a sequence it has met as it did then."""

    def __init__(self) -> None:
        self.kept = torch.zeros(())
        self.answers: dict[bytes, Tensor] = {}

    def __call__(self, *inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        o, S = chunkwise(*inputs, chunk_size=chunk_size)
        o = o + self.kept
        for row in range(len(o)):
            for end in range(1, o.shape[2] + 1):
                prefix = inputs[2][row, :, :end].numpy().tobytes()
                o[row, :, end - 1] = self.answers.setdefault(prefix, o[row, :, end - 1].clone())
        self.kept = self.kept + 0.01
        return o, S


@pytest.mark.slow
@pytest.mark.parametrize("task", ["Compress", "Memorize"])
def test_what_a_kernel_remembers_is_not_repeated_elsewhere(task: str) -> None:
    weights, job, protocol, spec = fresh(task)
    if task == "Compress":
        protocol, spec, job = prepared(task)
        weights = train(job.model_dump(mode="json"), protocol.training_data(spec), chunkwise, lambda _: None)
    alone = score(weights, job, protocol, spec, Remembering())
    assert isinstance(alone, ScoredTrial), "it repeats itself well enough to fool one process"
    outcome = score(weights, job, protocol, spec, Remembering(), Remembering())
    assert isinstance(outcome, Failure)
    assert outcome.kind == "noncausal"


def test_outputs_that_overflow_are_no_proof() -> None:
    weights, job, protocol, spec = fresh("Memorize")
    weights["read_out.linear.weight"] = weights["read_out.linear.weight"] * 1e38
    outcome = score(weights, job, protocol, spec, peeking)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "noncausal"


@pytest.mark.slow
@pytest.mark.parametrize("task", SETTINGS)
def test_several_batches_in_one_call_score_the_same(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: the futures are drawn batch by batch, however many batches the kernel meets at once."""
    protocol, spec, job = prepared(task, test_examples=200)
    weights = train(job.model_dump(mode="json"), protocol.training_data(spec), chunkwise, lambda _: None)
    met: list[int] = []

    def counting(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        met.append(len(inputs[0]))
        return chunkwise(*inputs, chunk_size=chunk_size)

    found = []
    for size in (SCORING_BATCH, 3 * SCORING_BATCH):
        monkeypatch.setattr("evaluator.scoring.score.scored_at_once", lambda _, size=size: size)
        met.clear()
        scored = score(weights, job, protocol, spec, counting, chunkwise)
        assert isinstance(scored, ScoredTrial)
        found.append((scored, len(met), max(met)))
    (one, calls, widest), (several, fewer, wider) = found
    assert (several.accuracy, several.predictions) == (one.accuracy, one.predictions)
    assert several.test_loss == pytest.approx(one.test_loss, rel=1e-5)
    assert (calls, fewer, widest, wider) == (2 * fewer, fewer, SCORING_BATCH, 3 * SCORING_BATCH)


@pytest.mark.parametrize("task", SETTINGS)
def test_all_that_is_counted_and_compared_lies_on_the_device(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`meta` stands for a GPU: layers and kernel compute there, and nothing of the host gets into what they compute."""
    protocol, spec, job = prepared(task)
    model = build(job.model, chunkwise)
    initialise(model, 0)
    met: list[Tensor] = []
    monkeypatch.setattr(score_module, "_checked", lambda kernel: kernel)
    monkeypatch.setattr(score_module._Tally, "count", lambda _, *given: met.extend(given))
    monkeypatch.setattr(score_module._Tally, "compare", lambda _, *given: met.extend(given))
    monkeypatch.setattr(score_module._Tally, "result", lambda _: "scored")
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    there = job.model_copy(update={"device": "meta"})
    assert score(model.state_dict(), there, protocol, spec, chunkwise) == "scored"
    assert {str(x.device) for x in met} == {"meta"}
    assert {x.dtype for x in met} == {torch.float32, torch.int64, torch.bool}


def test_a_gpu_takes_whole_batches_at_once() -> None:
    job = prepared("Compress")[2]
    at = {length: job.model.model_copy(update={"length": length}) for length in (128, 1024, 2**20)}
    on_gpu = [job.model_copy(update={"device": "cuda", "model": model}) for model in at.values()]
    assert [score_module.scored_at_once(each) for each in on_gpu] == [1024, 128, SCORING_BATCH]
    assert score_module.scored_at_once(job) == SCORING_BATCH
