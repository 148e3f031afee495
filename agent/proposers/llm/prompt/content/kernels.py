"""Kernels as a prompt shows them: the file around the loop once, then loops."""

from agent.analysis.boards.sizes import Size, state_words
from agent.analysis.snapshot import ArchiveSnapshot
from agent.catalogue.render import formulas
from agent.proposers.llm.prompt.content.loops import changed_around
from agent.proposers.llm.prompt.content.parents import OfferedParent
from agent.proposers.llm.prompt.facts import ShownKernel
from variants.contract import BASELINE, Layer
from variants.source import kernel_parts

MOST_CHANGED = 12
"""Lines around the loop that may differ from the baseline's for a kernel to be shown by its loop."""


def base_kernel(snapshot: ArchiveSnapshot) -> ShownKernel | None:
    """The baseline's whole file, which every loop stands in; None where the archive has none with a loop."""
    variant = snapshot.variants.get(BASELINE)
    return None if variant is None else ShownKernel(name=BASELINE, source=variant.source.strip())


def whole_kernel(snapshot: ArchiveSnapshot, offered: OfferedParent) -> ShownKernel:
    """A kernel with its file, its formulas and its genome."""
    variant, genome = snapshot.variants[offered.name], snapshot.genomes.get(offered.name)
    gated = "the gated layer's own kernel" if variant.layer is Layer.GATED_DELTA_NET else ""
    return ShownKernel(
        name=offered.name,
        source=variant.source.strip(),
        formulas=tuple(formulas(genome)) if genome is not None else (),
        genome=genome.to_json() if genome is not None else None,
        why=gated or offered.why,
    )


def loop_kernel(snapshot: ArchiveSnapshot, offered: OfferedParent) -> ShownKernel:
    """A kernel by its loop, and the lines around it that the baseline lacks; by its whole file where they are many.

    The baseline is shown by its name alone: its file is that of `base_kernel`.
    """
    whole, base = whole_kernel(snapshot, offered), snapshot.variants.get(BASELINE)
    if offered.name == BASELINE:
        return whole.model_copy(update={"source": ""})
    ours = kernel_parts(whole.source)
    theirs = kernel_parts(base.source) if base is not None else None
    if ours is None or theirs is None:
        return whole
    changed = changed_around(theirs, ours)
    if len(changed) > MOST_CHANGED:
        return whole
    return whole.model_copy(update={"source": "", "loop": ours.loop, "around": changed})


def with_size(kernel: ShownKernel, size: Size) -> ShownKernel:
    """The kernel, with a word on its state where that is more than the baseline's."""
    told = state_words(size)
    return kernel.model_copy(update={"why": "; ".join(filter(None, (kernel.why, told)))}) if told else kernel
