"""Score a trained model in the trusted process, so that a kernel which looks ahead gains nothing.

A prediction at position t counts only if every token after t was replaced by a random one. The sequences of one batch
go through the kernel in the order of rising t, and unchanged only at the very end: a kernel that remembers earlier
calls has never met a token that it could put to use. The certificate is made with a second kernel, in a process that
has seen none of the counted passes: what a kernel remembers of them, it cannot repeat there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluator.kernel import Kernel
from evaluator.model.backbones import AutoEncoder, LanguageModel, build
from evaluator.outcomes import Failure
from evaluator.protocols.protocol import Protocol, TrialSpec
from evaluator.scoring.futures import Pass, draw_pass, draw_passes, up_to
from evaluator.tasks.registry import examples, stream
from evaluator.training.jobs import TrainingJob
from evaluator.values import Value

SCORING_BATCH = 64
TOKENS_AT_ONCE = 2**17
"""A GPU takes so many tokens through the kernel in one call, in whole batches; a CPU takes one batch."""
CERTIFIED = 128
"""Test sequences, drawn at random from all of them, whose counted passes are compared with the unchanged sequence."""
NONCAUSAL_ABOVE = float(torch.finfo(torch.float32).eps) ** 0.5
"""Scoring runs in float32. Half of its digits may be lost to rounding; what changes more looked ahead."""


class ScoredTrial(Value):
    """What scoring says: over `predictions` counted predictions. `certificate`: see outcomes.Trial."""

    accuracy: float
    test_loss: float
    predictions: int
    certificate: float


class GarbageError(Exception):
    """Weights or kernel outputs that cannot be used: the variant's fault, turned into a Failure by `score`."""


@torch.no_grad()
def score(
    weights: Mapping[str, Tensor],
    job: TrainingJob,
    protocol: Protocol,
    spec: TrialSpec,
    kernel: Kernel,
    witness: Kernel | None = None,
) -> ScoredTrial | Failure:
    """Accuracy and loss of trained weights on the test set of a trial's seed, and a certificate of causality.

    weights: what `train` returned, not trusted. kernel: may run elsewhere and may fail; its exceptions pass through.
    witness: the same kernel in another process, for the certificate; without it, `kernel` makes that too.
    Returns a Failure for weights or outputs of the wrong names, shapes or dtypes, for non-finite numbers, and for a
    certificate above NONCAUSAL_ABOVE. The layers run on the job's device, in float32; futures are drawn on the CPU, the
    same for every device.
    """
    plan, setting = protocol.tasks[spec.task], protocol.setting(spec)
    seed = int(stream(setting, "cuts", spec.seed).integers(2**62))
    generator = torch.Generator().manual_seed(seed)
    test = examples(setting, "test", plan.test_examples, spec.seed)
    tally = _Tally()
    try:
        model, other = (load(weights, job, each).to(job.device) for each in (kernel, witness or kernel))
        parts, vocabulary = _parts(len(test.inputs), scored_at_once(job)), job.model.vocabulary
        if isinstance(model, AutoEncoder):
            future = draw_pass(test.inputs, vocabulary, generator, SCORING_BATCH)
            for part in parts:
                _score_autoencoder(model, other, test.inputs[part], test.targets[part], future.part(part), tally)
        else:
            certified = _some(len(test.inputs), torch.Generator().manual_seed(seed + 1))
            futures = draw_passes(test.inputs, test.targets, plan.cuts, vocabulary, generator, SCORING_BATCH)
            passes: list[_Passes] = []
            for part in parts:
                own = [future.part(part) for future in futures]
                passes.append(_score_language_model(model, test.targets[part], own, certified[part], tally))
            _certify(other, test.inputs[certified], passes, tally)
    except GarbageError as error:
        return Failure(kind="garbage", message=str(error))
    if tally.certificate > NONCAUSAL_ABOVE:
        message = f"replacing the future changed the trained model's past by {tally.certificate:.2g} of its scale"
        return Failure(kind="noncausal", message=f"{message} (allowed {NONCAUSAL_ABOVE:.2g})")
    return tally.result()


def scored_at_once(job: TrainingJob) -> int:
    """Test sequences that go through the kernel in one call, on the job's device."""
    if job.device == "cpu":
        return SCORING_BATCH
    batches = int(TOKENS_AT_ONCE / (SCORING_BATCH * job.model.length * job.model.wider))
    return max(1, batches) * SCORING_BATCH


def load(weights: Mapping[str, Tensor], job: TrainingJob, kernel: Kernel) -> LanguageModel:
    """The model of a job with these weights, around a kernel whose outputs are checked.

    Raises GarbageError unless names, shapes and dtypes are exactly the model's and all numbers are finite.
    """
    model = build(job.model, _checked(kernel))
    expected = model.state_dict()
    if weights.keys() != expected.keys():
        raise GarbageError(f"weights have other names: {sorted(weights.keys() ^ expected.keys())[:5]}")
    for name, tensor in weights.items():
        wanted = expected[name]
        if tensor.shape != wanted.shape or tensor.dtype != wanted.dtype:
            raise GarbageError(f"weight {name} is {tensor.dtype} {tuple(tensor.shape)}, not {tuple(wanted.shape)}")
        if not bool(tensor.isfinite().all()):
            raise GarbageError(f"weight {name} is not finite")
    model.load_state_dict(dict(weights))
    return model.eval()


def _checked(kernel: Kernel) -> Kernel:
    def call(*inputs: Tensor, chunk_size: int = 32) -> tuple[Tensor, Tensor]:
        o, state = kernel(*inputs, chunk_size=chunk_size)
        wanted = inputs[2]
        if o.shape != wanted.shape or o.dtype != wanted.dtype:
            raise GarbageError(f"kernel output is {o.dtype} {tuple(o.shape)}, not {wanted.dtype} {tuple(wanted.shape)}")
        if not bool(o.isfinite().all()):
            raise GarbageError("kernel output is not finite")
        return o, state

    return call


@dataclass
class _Tally:
    right: int = 0
    loss: float = 0.0
    predictions: int = 0
    certificate: float = 0.0

    def count(self, logits: Tensor, targets: Tensor) -> None:
        """Count predictions. logits `[n, V]`, targets `[n]`."""
        self.right += int((logits.argmax(-1) == targets).sum())
        self.loss += float(F.cross_entropy(logits, targets, reduction="sum"))
        self.predictions += len(targets)

    def compare(self, replaced: Tensor, original: Tensor, before: Tensor) -> None:
        """Keep the largest change where `before` (`[B, L]`) is true, relative to the root mean square of all.

        Weights may be made so that outputs overflow: what is no number, or measured against one, is no proof.
        """
        original, replaced = original.double(), replaced.double()
        scale = original.square().mean().sqrt().clamp(min=torch.finfo(torch.float32).tiny)
        change = float((replaced - original).abs().amax(-1)[before].max() / scale)
        self.certificate = max(self.certificate, change if math.isfinite(change) else math.inf)

    def result(self) -> ScoredTrial:
        """The averages."""
        return ScoredTrial(
            accuracy=self.right / self.predictions,
            test_loss=self.loss / self.predictions,
            predictions=self.predictions,
            certificate=self.certificate,
        )


_Passes = list[tuple[Tensor, Tensor]]
"""Per cut: the positions `[n]` and hidden states `[n, L, D]` of the sequences to certify."""


def _score_language_model(
    model: LanguageModel, targets: Tensor, futures: Sequence[Pass], chosen: Tensor, tally: _Tally
) -> _Passes:
    """Count one prediction per sequence and cut. Gives what `_certify` needs of the `chosen` sequences (`[B]`)."""
    passes, device = [], _device(model)
    kept = chosen.nonzero().flatten().to(device)
    for cut, counts, inputs in futures:
        hidden = model.encode(inputs.to(device))
        rows = counts.nonzero().flatten()
        counted = model.read_out(hidden[rows.to(device), cut[rows].to(device)])
        tally.count(counted, targets[rows, cut[rows]].to(device))
        passes.append((cut[chosen], hidden[kept]))
    return passes


def _certify(model: LanguageModel, originals: Tensor, passes: list[_Passes], tally: _Tally) -> None:
    """Compare the counted passes with the unchanged sequences, which the kernel meets here for the first time."""
    device = _device(model)
    together = [tuple(map(torch.cat, zip(*same_cut, strict=True))) for same_cut in zip(*passes, strict=True)]
    for part in _parts(len(originals), SCORING_BATCH):
        unchanged = model.read_out(model.encode(originals[part].to(device)))
        for cut, replaced in together:
            tally.compare(model.read_out(replaced[part]), unchanged, up_to(cut[part], originals[part]).to(device))


def _some(count: int, generator: torch.Generator) -> Tensor:
    """A mask `[count]` of CERTIFIED random places, or of all where there are fewer."""
    return torch.zeros(count, dtype=torch.bool).index_fill(
        0, torch.randperm(count, generator=generator)[:CERTIFIED], True
    )


def _score_autoencoder(
    model: AutoEncoder, other: LanguageModel, inputs: Tensor, targets: Tensor, future: Pass, tally: _Tally
) -> None:
    """Its code is made from the whole sequence, so all is scored at once; hidden states must still be causal.

    Some sequences keep all their tokens, so that what the last position's state says is compared too.
    """
    device = _device(model)
    hidden = other.encode(future.inputs.to(device))
    original = model.encode(inputs.to(device))
    tally.compare(hidden, original, up_to(future.cut, inputs).to(device))
    tally.count(model.decode(original), targets.flatten().to(device))


def _device(model: LanguageModel) -> torch.device:
    return model.embedding.weight.device


def _parts(count: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, count, size)]
