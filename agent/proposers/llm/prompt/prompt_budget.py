"""Fitting a prompt into a budget: cuts in a fixed order, the least useful first; the prompt says what was left out."""

from collections.abc import Callable

from agent.proposers.llm.errors import PromptTooLongError
from agent.proposers.llm.prompt.facts import LeaderboardRow, PromptFacts
from agent.proposers.llm.tokens import estimate_tokens
from variants.contract import short_name

Cut = Callable[[PromptFacts], PromptFacts]


def fit(facts: PromptFacts, budget: int, render: Callable[[PromptFacts], str]) -> PromptFacts:
    """The facts with as few cuts as bring the rendered prompt into `budget` tokens.

    Raises PromptTooLongError where all cuts together are not enough. What had been left out before stays said.
    """
    whole, before = facts, facts.dropped
    for cut in (None, *CUTS):
        if cut is not None:
            facts = cut(facts)
            facts = facts.model_copy(update={"dropped": (*before, *left_out(whole, facts))})
        if (needed := estimate_tokens(render(facts))) <= budget:
            return facts
    shorter = ", or ask with --form structured, whose prompt is shorter" if facts.form == "code" else ""
    raise PromptTooLongError(
        f"the shortest prompt needs about {needed} tokens and the budget is {budget}: "
        f"raise --context-tokens to {needed} or more{shorter}",
        needed,
    )


def left_out(whole: PromptFacts, cut: PromptFacts) -> tuple[str, ...]:
    """What `cut` lacks of `whole`, in words."""
    counts = {
        "earlier attempts, the oldest": len(whole.history) - len(cut.history),
        "earlier attempts in full": len(whole.attempts) - len(cut.attempts),
        "rows measured under this protocol, the lower ones": len(whole.measured) - len(cut.measured),
        "rows of larger protocols, the lower ones": _count(whole) - _count(cut),
        "published rows, the lower ones": len(whole.published) - len(cut.published),
        "sentences on the leaderboard": len(whole.insights) - len(cut.insights),
        "mechanisms of the catalogue": len(whole.mechanisms) - len(cut.mechanisms),
    }
    said = [f"{count} {what}" for what, count in counts.items() if count]
    parts = {
        "how good your predictions were, task by task": (whole.calibration, cut.calibration),
        "some of what is under way": (whole.under_way, cut.under_way),
        "what the tasks ask for": (whole.tasks_about, cut.tasks_about),
        "the model around the kernel": (whole.model_about, cut.model_about),
        "how a variant is judged": (whole.judged_by, cut.judged_by),
        "what the reference computes": (whole.reference_about, cut.reference_about),
        "scores seed by seed": (whole.seeds, cut.seeds),
        "the notebook": (whole.notebook, cut.notebook),
        "what the literature has": (whole.literature, cut.literature),
        "how soon training losses came down": (whole.speed, cut.speed),
        "what measured scores are held against": (whole.scales, cut.scales),
        "what moved the task that is looked at first": (whole.moved, cut.moved),
    }
    said += [what for what, (old, new) in parts.items() if len(new) < len(old)]
    said += [f"the code of {kernel.name}" for kernel in whole.others if kernel not in cut.others]
    return tuple(said)


def _count(facts: PromptFacts) -> int:
    """Rows of larger protocols."""
    return sum(len(rung.rows) for rung in facts.above)


def _history(keep: int) -> Cut:
    return lambda facts: facts.model_copy(update={"history": facts.history[:keep]})


def _measured(keep: int) -> Cut:
    return lambda facts: facts.model_copy(update={"measured": _best(facts.measured, keep)})


def _published(keep: int) -> Cut:
    return lambda facts: facts.model_copy(update={"published": _best(facts.published, keep)})


def _above(facts: PromptFacts) -> PromptFacts:
    """Four rows of each larger protocol, and those that are always kept."""
    cut = tuple(rung.model_copy(update={"rows": _best(rung.rows, 4)}) for rung in facts.above)
    return facts.model_copy(update={"above": cut})


def _insights(keep: int) -> Cut:
    return lambda facts: facts.model_copy(update={"insights": facts.insights[:keep]})


def _mechanisms(keep: int) -> Cut:
    return lambda facts: facts.model_copy(update={"mechanisms": facts.mechanisms[:keep]})


def _best(rows: tuple[LeaderboardRow, ...], keep: int) -> tuple[LeaderboardRow, ...]:
    """The rows that are always kept and the `keep` best others, in their order."""
    best = sorted((row for row in rows if not row.keep), key=lambda row: -row.rank)[:keep]
    return tuple(row for row in rows if row.keep or row in best)


def _no_others(facts: PromptFacts) -> PromptFacts:
    return facts.model_copy(update={"others": ()})


def _attempts(keep: int) -> Cut:
    """The attempts in full beyond the first `keep`; they are then told of by nothing."""
    return lambda facts: facts.model_copy(update={"attempts": facts.attempts[:keep]})


def _without(*fields: str) -> Cut:
    return lambda facts: facts.model_copy(update=dict.fromkeys(fields, ()))


def _core_measured(facts: PromptFacts) -> PromptFacts:
    """Baseline, reference and parents only: the rest of the table is what the insights sum up."""
    core = {short_name(name) for name in (facts.baseline, facts.reference, *facts.parents)}
    return facts.model_copy(update={"measured": tuple(row for row in facts.measured if row.name in core)})


def _calibration(keep: int) -> Cut:
    return lambda facts: facts.model_copy(update={"calibration": facts.calibration[:keep]})


LAST_RESORT = ("measured", "insights", "judged_by", "model_about", "scales", "moved")


def _parent_alone(facts: PromptFacts) -> PromptFacts:
    """The last resort: contract, parent, structure and the form of the reply; three mechanisms to choose from."""
    update: dict[str, tuple[object, ...]] = dict.fromkeys(LAST_RESORT, ())
    update |= {"under_way": facts.under_way[-3:], "mechanisms": facts.mechanisms[:3]}
    return facts.model_copy(update=update)


CUTS: tuple[Cut, ...] = (
    _published(4),
    _history(8),
    _measured(12),
    _without("literature"),
    _above,
    _without("speed"),
    _attempts(3),
    _calibration(1),
    _mechanisms(24),
    _published(0),
    _without("above", "seeds"),
    _no_others,
    _measured(4),
    _history(3),
    _attempts(1),
    _without("reference_about"),
    _without("tasks_about"),
    _mechanisms(12),
    _measured(0),
    _insights(3),
    _without("published"),
    _core_measured,
    _mechanisms(6),
    _history(0),
    _attempts(0),
    _without("notebook"),
    _calibration(0),
    _insights(1),
    _parent_alone,
)
"""In the order in which they are made; docs/llm.md tells it in words."""
