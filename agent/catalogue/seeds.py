"""The seed variants as genomes. The gated reference has none: its decay belongs to a layer of its own."""

from agent.catalogue.decay import ConstantDecay, ErrorForget
from agent.catalogue.error import Gelu, L2Error
from agent.catalogue.features import LayerNormQK, NormalizeKeys, RopeQK
from agent.catalogue.genome import Genome
from agent.catalogue.output import OwnError, OwnValue, OwnWrittenValue, PhaseEcho
from agent.catalogue.raw_scores import SigmoidGate
from agent.catalogue.scores import AdaptiveHybrid, AddLocalSoftmax, CosineSoftmax, Hybrid, Softmax, TopKSoftmax
from agent.catalogue.state import FrobeniusBall
from agent.catalogue.update import Adam, LayerNormUpdate, Momentum, RMSProp
from agent.catalogue.write import ErrorGate, TopKError
from variants.contract import BASELINE, VariantName

_SINGLE = (
    Genome(update=Adam()),
    Genome(scores=AdaptiveHybrid()),
    Genome(scores=AddLocalSoftmax()),
    Genome(scores=CosineSoftmax()),
    Genome(decay=ConstantDecay()),
    Genome(write=ErrorGate()),
    Genome(state=FrobeniusBall()),
    Genome(error=Gelu()),
    Genome(scores=Hybrid()),
    Genome(error=L2Error()),
    Genome(features=LayerNormQK()),
    Genome(update=LayerNormUpdate()),
    Genome(update=Momentum()),
    Genome(features=NormalizeKeys()),
    Genome(update=RMSProp()),
    Genome(features=RopeQK()),
    Genome(decay=ErrorForget()),
    Genome(scores=SigmoidGate()),
    Genome(scores=Softmax()),
    Genome(write=TopKError()),
    Genome(scores=TopKSoftmax()),
)

_FOUND = (
    Genome(output=OwnValue()),
    Genome(output=OwnWrittenValue()),
    Genome(output=OwnError(), decay=ConstantDecay()),
    Genome(output=PhaseEcho(), decay=ConstantDecay()),
)
"""What a search found. The first two files also normalise k again, as their parents do; that changes nothing."""

SEED_GENOMES: dict[VariantName, Genome] = {
    BASELINE: Genome(),
    **{genome.name: genome for genome in (*_SINGLE, *_FOUND)},
    "delta_net_4layer_cosine_softmax_attention_error_gated_update_in_for_loop": Genome(
        scores=CosineSoftmax(), write=ErrorGate()
    ),
}
