"""The leaderboards as a prompt prints them: intervals and noise, not bare digits, and what structure rules out."""

import math
from collections.abc import Iterable
from statistics import fmean, stdev

from agent.catalogue import Genome
from agent.context import Context
from agent.llm.facts import Row
from agent.llm.parents import comparable, leader, merged_scores
from evaluator.outcomes import Score
from evaluator.protocol import PROTOCOLS
from variants.contract import BASELINE, CHUNK_SIZE, REFERENCE, TASKS, Task

CEILING = 0.99
FEWEST_REPLICATES = 3


def measured_rows(context: Context, parents: Iterable[str]) -> tuple[Row, ...]:
    """Variants measured under the protocol, best mean first."""
    kept = _kept(context, parents)
    rows = [
        Row(
            name=name,
            cells=tuple(_cell(scores.get(task)) for task in TASKS),
            rank=fmean(score.mean for score in scores.values()),
            keep=name in kept,
        )
        for name, scores in context.standings.items()
        if scores
    ]
    return tuple(sorted(rows, key=lambda row: (-row.rank, row.name)))


def published_rows(context: Context, parents: Iterable[str]) -> tuple[Row, ...]:
    """The published leaderboard, best mean first."""
    kept = _kept(context, parents)
    table = {str(name): [float(value) for value in row[list(TASKS)]] for name, row in context.published.iterrows()}
    rows = [
        Row(name=name, cells=tuple(f"{value:.3f}" for value in values), rank=fmean(values), keep=name in kept)
        for name, values in table.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.rank, row.name)))


def noise_lines(context: Context) -> tuple[str, ...]:
    """What one seed is worth: under the protocol, and in the published table as far as it can be told."""
    known = [f"{task} {context.noise[task]:.3f}" for task in TASKS if task in context.noise]
    lines = [f"Standard deviation of one seed under `{context.protocol}`: {', '.join(known)}."] if known else []
    spread = published_noise(context)
    if spread is not None:
        deviation, largest, n = spread
        lines.append(
            f"Published rows are one seed each. On Memorize, {n} of them cannot differ from `{BASELINE}`, and yet they "
            f"differ by up to {largest:.3f} (standard deviation {deviation:.3f}): smaller differences say nothing."
        )
    return tuple(lines)


def published_noise(context: Context) -> tuple[float, float, int] | None:
    """Standard deviation, largest difference and number of published Memorize scores that the baseline shares."""
    if BASELINE not in context.published.index:
        return None
    own = float(context.published.loc[BASELINE, "Memorize"])  # type: ignore[arg-type]
    inert = [
        float(context.published.loc[name, "Memorize"])  # type: ignore[arg-type]
        for name, genome in context.genomes.items()
        if name != BASELINE and name in context.published.index and genome.first_chunk == Genome()
    ]
    if len(inert) < FEWEST_REPLICATES:
        return None
    return stdev([own, *inert]), max(abs(value - own) for value in inert), len(inert)


def table_name(context: Context) -> str:
    """Where `merged_scores` comes from, in words."""
    return f"measured under `{context.protocol}`" if comparable(context) else "as published"


def leader_lines(context: Context) -> tuple[str, ...]:
    """The best of each task, and what the reference has."""
    table = merged_scores(context)
    lines = []
    for task in TASKS:
        best = leader(table, task)
        if best is not None:
            own = f"; `{REFERENCE}` {table[REFERENCE][task]:.3f}" if REFERENCE in table and best != REFERENCE else ""
            lines.append(f"{task}: `{best}` {table[best][task]:.3f}{own}")
    return tuple(lines)


def structure_lines(context: Context) -> tuple[str, ...]:
    """What can be known of a change before any training."""
    lines = []
    single = single_chunk_tasks(context.protocol)
    if single:
        lines.append(
            f"{' and '.join(single)}: sequences of at most {CHUNK_SIZE} tokens, one chunk. S is zero until it ends, so "
            "no change of the state, its decay, its update or its read-out can move the score there; only a change of "
            "`attn`, of `u_i` before the output, or of what is added to the output can."
        )
    lines.append(
        "q and k arrive L2-normalised, after a short convolution and SiLU; normalising k again is the baseline. "
        "beta lies in (0, 1) and is already part of u and w."
    )
    table = merged_scores(context)
    full = [task for task in TASKS if BASELINE in table and table[BASELINE][task] >= CEILING]
    if full:
        lines.append(
            f"{' and '.join(full)}: the baseline is at the ceiling ({table_name(context)}); there is little to gain."
        )
    return tuple(lines)


def single_chunk_tasks(protocol: str) -> tuple[Task, ...]:
    """Tasks all of whose settings fit into one chunk; Memorize, whatever the protocol, at its published length."""
    if protocol not in PROTOCOLS:
        return ("Memorize",)
    plans = PROTOCOLS[protocol].tasks
    return tuple(
        task
        for task in TASKS
        if task in plans and all(setting.fed_length <= CHUNK_SIZE for setting in plans[task].settings)
    )


def _kept(context: Context, parents: Iterable[str]) -> set[str]:
    table = merged_scores(context)
    return {BASELINE, REFERENCE, *parents, *(str(leader(table, task)) for task in TASKS)}


def _cell(score: Score | None) -> str:
    if score is None:
        return "-"
    half = max(score.high - score.mean, score.mean - score.low)
    return f"{score.mean:.3f} ±{half:.3f}" if score.n > 1 and math.isfinite(half) else f"{score.mean:.3f} (n=1)"
