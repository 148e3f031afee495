"""Layers, mixers and backbones: fast paths against slow ones, sizes against the published ones, causality."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from evaluator.model.backbones import AutoEncoder, LanguageModel, build, sinusoids
from evaluator.model.config import MixerShape, ModelConfig, mixer_parameters, mixer_shape
from evaluator.model.functional import causal_convolution
from evaluator.model.layers import Linear, RMSNorm, ShortConvolution, SwiGLU, initialise
from evaluator.model.linear import linear
from evaluator.model.mixers import MIXERS, Decay, DeltaNet, GatedDeltaNet
from tests.evaluator.delta_rule import chunkwise, recurrent
from variants.contract import Layer


def config(**changes: object) -> ModelConfig:
    base = {
        "backbone": "language_model",
        "layer": "delta_net",
        "vocabulary": 16,
        "length": 40,
        "width": 16,
        "inner": 24,
    }
    return ModelConfig.model_validate(base | changes)


def grads(out: Tensor, *inputs: Tensor) -> list[Tensor]:
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape)
    return list(torch.autograd.grad((out * weights).sum(), inputs))


@pytest.mark.parametrize("shape", [(3, 5, 8), (7, 8), (1, 1, 8), (2, 40, 64)])
@pytest.mark.parametrize("outputs", [1, 3, 64])
def test_linear_is_a_matrix_product_and_so_are_its_gradients(shape: tuple[int, ...], outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator, requires_grad=True)
    weight = torch.randn(outputs, shape[-1], generator=generator, requires_grad=True)
    ours, theirs = linear(x, weight), F.linear(x, weight)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(grads(ours, x, weight), grads(theirs, x, weight))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 9, 64])
def test_convolution_is_conv1d_with_one_group_per_channel(length: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, length, 6, generator=generator, requires_grad=True)
    weight = torch.randn(4, 6, generator=generator, requires_grad=True)
    ours = causal_convolution(x, weight)
    theirs = F.conv1d(F.pad(x.mT, (3, 0)), weight.t()[:, None], groups=6).mT
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(grads(ours, x, weight), grads(theirs, x, weight))


def test_swiglu_is_three_linears() -> None:
    layer = SwiGLU(8, 12)
    initialise(layer, 0)
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    w1, w2 = layer.w12.weight.chunk(2)
    torch.testing.assert_close(layer(x), (F.silu(x @ w1.t()) * (x @ w2.t())) @ layer.w3.weight.t())


def literal_mixer(mixer: DeltaNet, x: Tensor) -> Tensor:
    """One head after the other, one formula a line, by the recurrent kernel."""
    shape, taps = mixer.shape, mixer.convolution.weight
    projected = F.pad(x @ mixer.qkv.weight.t(), (0, 0, 3, 0))
    mixed = F.silu(sum(projected[:, j : j + x.shape[1]] * taps[j] for j in range(4)))
    q, k, v = mixed[..., : shape.keys], mixed[..., shape.keys : 2 * shape.keys], mixed[..., 2 * shape.keys :]
    beta = torch.sigmoid(x @ mixer.beta.weight.t())
    out = []
    for head in range(shape.heads):
        key = slice(head * shape.key_dim, (head + 1) * shape.key_dim)
        value = slice(head * shape.value_dim, (head + 1) * shape.value_dim)
        inputs = [q[..., key], k[..., key], v[..., value], beta[..., head]]
        inputs[:2] = [each / each.norm(dim=-1, keepdim=True) for each in inputs[:2]]
        if isinstance(mixer, GatedDeltaNet):
            rate = F.softplus(x @ mixer.decay.projection.weight.t() + mixer.decay.dt_bias)
            inputs.append((-mixer.decay.log_a.exp() * rate)[..., head])
        o, _ = recurrent(*(each[:, None] for each in inputs))
        out.append(o[:, 0] / (o[:, 0].square().mean(-1, keepdim=True) + 1e-5).sqrt() * mixer.norm.weight)
    read = torch.cat(out, -1)
    if isinstance(mixer, GatedDeltaNet):
        bias = 0 if mixer.gate.bias is None else mixer.gate.bias
        read = read * F.silu(x @ mixer.gate.projection.weight.t() + bias)
    return read @ mixer.out.weight.t()


@pytest.mark.parametrize("layer", Layer)
@pytest.mark.parametrize(("keys", "values", "open_gate"), [(4, 6, True), (5, 3, False)])
def test_parameters_are_counted_without_building(layer: Layer, keys: int, values: int, open_gate: bool) -> None:
    shape = MixerShape(heads=3, key_dim=keys, value_dim=values, open_gate=open_gate)
    mixer = MIXERS[layer](14, shape, kernel=chunkwise)
    assert mixer_parameters(layer, 14, shape) == sum(parameter.numel() for parameter in mixer.parameters())


@pytest.mark.parametrize("mixer_type", [DeltaNet, GatedDeltaNet])
@pytest.mark.parametrize(
    "shape",
    [
        *(mixer_shape(Layer.GATED_DELTA_NET, 16, heads) for heads in (1, 2, 4)),
        MixerShape(heads=2, key_dim=4, value_dim=6, decay_up_to=16.0, open_gate=False),
    ],
)
def test_mixer_is_the_literal_one(mixer_type: type[DeltaNet], shape: MixerShape) -> None:
    mixer = mixer_type(16, shape, recurrent)
    initialise(mixer, 0)
    x = torch.randn(2, 37, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixer(x), literal_mixer(mixer, x), rtol=1e-4, atol=1e-5)


def test_decay_begins_between_nothing_and_what_the_shape_says() -> None:
    shape = MixerShape(heads=64, key_dim=2, value_dim=2, decay_up_to=16.0)
    decay = Decay(16, shape)
    initialise(decay, 0)
    a = decay.log_a.exp()
    assert (a.min() < 2, a.max() > 14, bool((a <= 16).all())) == (True, True, True)


def test_the_kernels_of_these_tests_agree() -> None:
    mixer = DeltaNet(16, mixer_shape(Layer.DELTA_NET, 16, 2), recurrent)
    initialise(mixer, 0)
    x = torch.randn(2, 75, 16, generator=torch.Generator().manual_seed(0))
    by_token = mixer(x)
    mixer.kernel = chunkwise
    torch.testing.assert_close(mixer(x), by_token, rtol=1e-4, atol=1e-5)


def test_eight_heads_have_the_published_number_of_parameters() -> None:
    model = build(config(width=128, heads=8, inner=352), chunkwise)
    mixer, swiglu = (sum(p.numel() for p in model.layers[i].parameters()) for i in (0, 1))
    assert (mixer, swiglu, sum(p.numel() for p in model.parameters())) == (68_240, 135_296, 411_312)


def test_initial_weights_are_as_documented() -> None:
    width = 512
    model = LanguageModel(config(width=width, inner=width, vocabulary=512), chunkwise)
    initialise(model, 0)
    weights = dict(model.named_parameters())
    assert weights["embedding.weight"].std().item() == pytest.approx(0.02, rel=0.02)
    assert weights["read_out.bias"].eq(0).all()
    assert weights["read_out.norm.weight"].eq(1).all()
    for name, bound in (("qkv.weight", width**-0.5), ("convolution.weight", 0.5), ("out.weight", width**-0.5)):
        drawn = weights[f"layers.0.layer.{name}"]
        assert drawn.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert drawn.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    coder = AutoEncoder(config(backbone="autoencoder", width=width, inner=width), chunkwise)
    initialise(coder, 0)
    for module in coder.modules():
        if isinstance(module, Linear) and module.weight.numel() > 10_000:
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_decay_starts_between_its_bounds() -> None:
    decay = Decay(8, MixerShape(heads=1_000, key_dim=1, value_dim=1))
    initialise(decay, 0)
    dt = F.softplus(decay.dt_bias)
    assert decay.log_a.eq(0).all()
    assert dt.min() >= 0.99e-3
    assert dt.max() <= 1.01e-1
    assert dt.log().mean().item() == pytest.approx(math.log(1e-2), abs=0.2)


def test_variants_of_a_seed_start_alike_and_seeds_do_not() -> None:
    plain, other = (LanguageModel(config(), chunkwise) for _ in range(2))
    gated = LanguageModel(config(layer="gated_delta_net"), recurrent)
    initialise(plain, 0)
    initialise(other, 1)
    initialise(gated, 0)
    shared = plain.state_dict().keys()
    assert shared < gated.state_dict().keys()
    for name in shared:
        assert plain.state_dict()[name].equal(gated.state_dict()[name]), name
    assert not plain.embedding.weight.equal(other.embedding.weight)
    assert not plain.layers[0].layer.qkv.weight.equal(plain.layers[2].layer.qkv.weight)


def test_initialisation_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    initialise(LanguageModel(config(), chunkwise), 0)
    assert torch.rand(1).equal(expected)


@pytest.mark.parametrize("layer", [Layer.DELTA_NET, Layer.GATED_DELTA_NET])
def test_hidden_states_are_causal(layer: Layer) -> None:
    model = LanguageModel(config(layer=layer, length=70), recurrent)
    initialise(model, 0)
    tokens = torch.randint(16, (3, 70), generator=torch.Generator().manual_seed(0))
    changed = tokens.clone()
    changed[:, 41:] = (tokens[:, 41:] + 1) % 16
    before, after = model.encode(tokens), model.encode(changed)
    torch.testing.assert_close(before[:, :41], after[:, :41])
    assert not torch.allclose(before[:, 41], after[:, 41], atol=1e-3)


@pytest.mark.parametrize("backbone", ["language_model", "autoencoder"])
def test_logits_at_scored_positions_are_those_of_all_positions(backbone: str) -> None:
    model = build(config(backbone=backbone), chunkwise)
    initialise(model, 0)
    tokens = torch.randint(16, (3, 40), generator=torch.Generator().manual_seed(0))
    scored = torch.rand(3, 40, generator=torch.Generator().manual_seed(1)) < 0.3
    everywhere = model(tokens)
    assert everywhere.shape == (120, 16)
    torch.testing.assert_close(model(tokens, scored), everywhere.view(3, 40, 16)[scored])


def test_autoencoder_sees_its_input_through_the_last_position_alone() -> None:
    model = AutoEncoder(config(backbone="autoencoder"), chunkwise)
    initialise(model, 0)
    hidden = torch.randn(2, 40, 16, generator=torch.Generator().manual_seed(0))
    changed = hidden.clone()
    changed[:, :-1] += 1
    assert model.decode(hidden).equal(model.decode(changed))
    rows = model.decode(hidden).view(2, 40, 16)
    assert not torch.allclose(rows[0, 0], rows[0, 1])


def test_sinusoids() -> None:
    table = sinusoids(5, 4)
    assert table[3].tolist() == pytest.approx([math.sin(3), math.sin(0.03), math.cos(3), math.cos(0.03)])


def test_norm_and_convolution_have_their_formulas() -> None:
    norm, convolution = RMSNorm(4), ShortConvolution(4)
    initialise(norm, 0)
    initialise(convolution, 0)
    x = torch.tensor([[[1.0, -2.0, 3.0, 0.5]]])
    torch.testing.assert_close(norm(x), x / (x.square().mean() + 1e-5).sqrt())
    torch.testing.assert_close(convolution(x), F.silu(x * convolution.weight[-1]))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="divide"):
        config(width=16, heads=3)
