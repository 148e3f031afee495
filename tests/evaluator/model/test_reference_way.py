"""The way of calling that benchmarks measure against computes the same loss and gradients as training does."""

import pytest
import torch
import torch.nn.functional as F

from benchmarks import reference_way
from evaluator.model.backbones import build
from evaluator.model.config import ModelConfig
from evaluator.model.layers import initialise
from variants.contract import Layer
from variants.delta_net_4layer import delta_rule_chunkwise


@pytest.mark.parametrize("backbone", ["language_model", "autoencoder"])
def test_same_loss_and_gradients(backbone: str) -> None:
    shape = {"backbone": backbone, "layer": Layer.DELTA_NET, "vocabulary": 8, "length": 20, "width": 16, "inner": 24}
    model = build(ModelConfig.model_validate(shape | {"heads": 2, "chunk_size": 8}), delta_rule_chunkwise)
    initialise(model, 0)
    tokens = torch.randint(8, (3, 20), generator=torch.Generator().manual_seed(0))
    ours = F.cross_entropy(model(tokens), tokens.flatten())
    weights = reference_way.parameters(model)
    theirs = reference_way.loss(model, weights, tokens, tokens)
    torch.testing.assert_close(ours, theirs)
    ours.backward()
    theirs.backward()
    qkv = torch.cat([weights[f"layers.0.layer.qkv.weight/{part}"].grad for part in range(3)])
    torch.testing.assert_close(model.layers[0].layer.qkv.weight.grad, qkv, rtol=1e-3, atol=1e-6)
