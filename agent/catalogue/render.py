"""A genome as a variant file: the baseline's source with the body of its loop, and carried state, in exchange."""

import textwrap
from functools import cache

from agent.catalogue.genome import Genome
from agent.catalogue.mechanism import Mechanism
from agent.templates import templates
from variants.contract import BASELINE, Variant
from variants.seeds import seed_variants

WIDTH = 120
LOOP = "    for i in range(len(q_n)):\n"


def render_variant(genome: Genome) -> Variant:
    """The kernel file of a genome, named after its mechanisms."""
    before_loop, after_loop = _around_the_loop()
    source = (
        templates()
        .get_template("variant.py.j2")
        .render(
            title=textwrap.fill(title(genome), WIDTH - 1, subsequent_indent=""),
            formulas=formulas(genome),
            motivation=textwrap.fill(motivation(genome), WIDTH),
            before_loop=before_loop,
            after_loop=after_loop,
            carried=[line for mechanism in genome.mechanisms.values() for line in _lines(mechanism, mechanism.carry)],
            **_body(genome),
        )
    )
    return Variant(name=genome.name, source=source)


def title(genome: Genome) -> str:
    """The mechanisms' titles in one phrase, without a full stop."""
    titles = [mechanism.title for mechanism in genome.mechanisms.values()] or ["The delta rule, chunkwise"]
    return "; ".join([titles[0], *(text[0].lower() + text[1:] for text in titles[1:])])


def formulas(genome: Genome) -> list[str]:
    """One formula a mechanism."""
    q, k = _attention(genome)
    return [found.fill(found.formula, q=q, k=k) for found in genome.mechanisms.values()] or ["S ← S + k_iᵀ u_i"]


def motivation(genome: Genome) -> str:
    """Why each mechanism, in one paragraph."""
    return " ".join(mechanism.why for mechanism in genome.mechanisms.values()) or "The baseline."


def _body(genome: Genome) -> dict[str, object]:
    q, k = _attention(genome)
    written = genome.write.fill(genome.write.written) if genome.write else "u_i"
    old = f"{genome.decay.fill(genome.decay.factor)} * S" if genome.decay else "S"
    delta = f"k_i.mT @ {written}"
    return {
        "features": _lines(genome.features),
        "readout": _lines(genome.readout) or ["o_inter = q_i @ S  # [B, H, C, Dv]"],
        "scores": _lines(genome.scores, q=q, k=k) or [f"attn = ({q} @ {k}.mT).masked_fill(future, 0)  # [B, H, C, C]"],
        "error": _lines(genome.error),
        "output": _lines(genome.output),
        "added": _added(genome),
        "decay": _lines(genome.decay),
        "write": _lines(genome.write),
        "update": _lines(genome.update, old=old, delta=delta) or [f"S = {old} + {delta}"],
        "state": _lines(genome.state),
        "after": [line for found in genome.mechanisms.values() for line in _lines(found, found.after)],
    }


def _added(genome: Genome) -> str:
    """What stands behind `o_inter + attn @ u_i`, of the scores and of the output."""
    terms = (
        genome.scores.output if genome.scores else "",
        genome.output.fill(genome.output.added) if genome.output else "",
    )
    return "".join(f" + {term}" for term in terms if term)


def _attention(genome: Genome) -> tuple[str, str]:
    return genome.features.attention if genome.features else ("q_i", "k_i")


def _lines(mechanism: Mechanism | None, code: str | None = None, **names: str) -> list[str]:
    if mechanism is None:
        return []
    return mechanism.fill(mechanism.code if code is None else code, **names).splitlines()


@cache
def _around_the_loop() -> tuple[str, str]:
    """The baseline's text between its docstring and its loop, and after the loop."""
    source = seed_variants()[BASELINE].source
    head, loop = source.split(LOOP)
    return head[head.index("import torch") :].rstrip("\n"), loop[loop.index("    return ") :].rstrip("\n")
