"""Genomes: the seeds' own code; any combination causal and finite; names, JSON, what cannot touch the first chunk."""

import random
import shutil
import subprocess
import sys
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from agent.catalogue import CATALOGUE, SEED_GENOMES, SLOTS, Genome, render_variant
from agent.catalogue.decay import BetaDecay, ConstantDecay
from agent.catalogue.features import NormalizeKeys
from agent.catalogue.scores import Hybrid, Softmax
from agent.catalogue.write import ErrorGate
from variants.carried import carried
from variants.contract import BASELINE
from variants.seeds import seed_variants

torch.set_num_threads(1)
TOLERANCE = {"rtol": 1e-8, "atol": 1e-11}


@cache
def compiled(source):
    namespace = {}
    exec(compile(source, "<variant>", "exec"), namespace)
    return namespace["delta_rule_chunkwise"]


def run(genome, inputs):
    return compiled(render_variant(genome).source)(*inputs)


def draw(B=2, H=2, L=70, Dk=8, Dv=5, seed=0, dtype=torch.float64):
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=rng, dtype=torch.float64)

    q, k = F.normalize(normal(B, H, L, Dk), dim=-1), F.normalize(normal(B, H, L, Dk), dim=-1)
    return [x.to(dtype).requires_grad_() for x in (q, k, normal(B, H, L, Dv), normal(B, H, L).sigmoid())]


def single_mechanisms():
    """Every mechanism alone, at both ends of each of its parameters."""
    for slot, kinds in CATALOGUE.items():
        for kind in kinds:
            for end in (min, max):
                yield Genome(**{slot: kind(**{name: end(grid) for name, grid in kind.grids().items()})})


def random_genome(seed):
    rng = random.Random(seed)
    slots = rng.sample(SLOTS, rng.randint(2, len(SLOTS)))
    kinds = {slot: rng.choice(CATALOGUE[slot]) for slot in slots}
    return Genome(**{s: kind(**{n: rng.choice(g) for n, g in kind.grids().items()}) for s, kind in kinds.items()})


GENOMES = [*dict.fromkeys(single_mechanisms()), *map(random_genome, range(40))]


@pytest.mark.parametrize("name", SEED_GENOMES)
@pytest.mark.parametrize("shape", [(2, 3, 70, 8, 5), (1, 1, 1, 4, 4), (1, 2, 32, 7, 3), (2, 1, 97, 3, 8)])
def test_a_seed_genome_renders_to_the_seeds_function(name, shape):
    if "phase_echo" in name and shape[-1] < 4:
        pytest.skip("as found, it needs values of width 4 or more")
    inputs = draw(*shape)
    for ours, seed in zip(
        run(SEED_GENOMES[name], inputs), compiled(seed_variants()[name].source)(*inputs), strict=True
    ):
        torch.testing.assert_close(ours, seed, **TOLERANCE)


def test_all_seeds_but_the_gated_reference_and_the_kernels_of_two_memories_are_genomes():
    memories = {n for n, v in seed_variants().items() if (own := carried(v.source)) and {"N", "P"} & {*own.names}}
    assert len(memories) == 4
    assert set(SEED_GENOMES) == {n for n, v in seed_variants().items() if v.layer == "delta_net"} - memories


@pytest.mark.parametrize("genome", GENOMES, ids=lambda g: g.name[17:-12])
def test_every_genome_is_causal_and_prefix_consistent(genome):
    given, other = draw(), draw(seed=1)
    o, S = run(genome, given)
    assert o.isfinite().all()
    assert S.isfinite().all()
    for cut in (20, 32, 50):
        resampled = [torch.cat([x[:, :, :cut], y[:, :, cut:]], 2) for x, y in zip(given, other, strict=True)]
        torch.testing.assert_close(run(genome, resampled)[0][:, :, :cut], o[:, :, :cut], **TOLERANCE)
        torch.testing.assert_close(run(genome, [x[:, :, :cut] for x in given])[0], o[:, :, :cut], **TOLERANCE)
    gradients = torch.autograd.grad(o[:, :, :50].square().sum(), given)
    assert all(x.isfinite().all() and x.any() and not x[:, :, 50:].any() for x in gradients)
    one = run(genome, [x[1:, :1] for x in given])[0]
    torch.testing.assert_close(one, o[1:, :1], **TOLERANCE)


@pytest.mark.parametrize("genome", GENOMES[::3], ids=lambda g: g.name[17:-12])
def test_every_genome_runs_in_half_precision_and_on_zeros(genome):
    for inputs in (draw(dtype=torch.bfloat16), draw(L=1), [torch.zeros_like(x, requires_grad=True) for x in draw()]):
        o, _ = run(genome, inputs)
        gradients = torch.autograd.grad(o.square().mean(), inputs)
        assert all(x.isfinite().all() for x in (o, *gradients))


@pytest.mark.parametrize("genome", GENOMES, ids=lambda g: g.name[17:-12])
def test_equal_first_chunks_are_equal_functions_of_one_chunk(genome):
    inputs = draw(L=32)
    torch.testing.assert_close(run(genome, inputs)[0], run(genome.first_chunk, inputs)[0], **TOLERANCE)


@pytest.mark.parametrize("genome", [g for g in single_mechanisms() if g.first_chunk.mechanisms], ids=lambda g: g.name)
def test_what_claims_to_change_the_first_chunk_does(genome):
    inputs = draw(L=32)
    inputs[2] = 10 * inputs[2]  # beyond every bound
    assert (run(genome, inputs)[0] - run(Genome(), inputs)[0]).abs().max() > 1e-4


@pytest.mark.parametrize("genome", [g for g in single_mechanisms() if not g.update], ids=lambda g: g.name)
def test_no_mechanism_is_a_no_op_but_those_that_say_so(genome):
    inputs = draw(L=97)
    same = torch.allclose(run(genome, inputs)[0], run(Genome(), inputs)[0], atol=1e-9)
    silent = {"frobenius_ball", "row_ball", "soft_cap", "capped_read", "clipped_error"}  # bounds not reached here
    if not silent & {found.mechanism for found in genome.mechanisms.values()}:
        assert same == (genome.canonical == Genome().canonical)


def test_json_round_trip_and_refusals():
    genome = Genome(scores=Hybrid(weight=0.25, sharpness=8), decay=BetaDecay(rate=0.003))
    assert Genome.model_validate(genome.to_json()) == genome
    assert Genome.model_validate_json(genome.canonical) == genome
    for bad in (
        {"score": {}},
        {"scores": {"mechanism": "hybrid_softmax", "heat": 1}},
        {"scores": {"mechanism": "none"}},
    ):
        with pytest.raises(ValidationError):
            Genome.model_validate(bad)
    with pytest.raises(ValidationError):
        Hybrid(weight=1.5)


def test_names():
    assert Genome().name == BASELINE
    assert Genome(scores=Softmax()).name == "delta_net_4layer_softmax_attention_in_for_loop"
    assert Genome(scores=Softmax(sharpness=4), decay=ConstantDecay(rate=0.95)).name == (
        "delta_net_4layer_softmax_attention_s4_decay_state_update_r0p95_in_for_loop"
    )
    names = [genome.name for genome in dict.fromkeys(GENOMES)]
    assert len(set(names)) == len(names)


def test_a_no_op_does_not_make_a_new_genome():
    assert Genome(features=NormalizeKeys(), write=ErrorGate()).canonical == Genome(write=ErrorGate()).canonical


def test_rendered_files_are_formatted_and_lint_clean(tmp_path):
    ruff = shutil.which("ruff", path=str(sys.prefix) + "/bin") or shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for genome in GENOMES:
        (tmp_path / f"{genome.name}.py").write_text(render_variant(genome).source)
    for command in (["format", "--check", "--diff"], ["check", "--ignore", "N803,N806,N812,RUF002,RUF003"]):
        done = subprocess.run([ruff, *command, "--line-length=120", "."], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-500:]
