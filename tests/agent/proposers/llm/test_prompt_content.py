"""What a prompt says: which parents, where to look, which attempts in full, how fast training went."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.boards.board import best_board, measured_board
from agent.analysis.boards.challenge import Challenge, nearest_first
from agent.analysis.snapshot import ArchiveSnapshot, Left, take_snapshot
from agent.errors import UserError
from agent.proposers.llm.deduplication import Claims
from agent.proposers.llm.prompt.content.around_the_kernel import left_lines
from agent.proposers.llm.prompt.content.attempts import shown_attempts
from agent.proposers.llm.prompt.content.focus import FOCUSES, Focus, changed_places, focus_of
from agent.proposers.llm.prompt.content.kernels import loop_kernel
from agent.proposers.llm.prompt.content.literature import digest, literature_lines
from agent.proposers.llm.prompt.content.notes import notebook_lines
from agent.proposers.llm.prompt.content.parents import AFRESH, OfferedParent, select_parents
from agent.proposers.llm.prompt.content.reference import further_parameters, reference_lines
from agent.proposers.llm.prompt.content.speed import seed_rows, speed_rows
from agent.proposers.llm.prompt.content.tables import rows_above, scale_rows
from agent.proposers.llm.prompt.content.weakness import moved_lines, weaknesses
from agent.proposers.llm.prompt.conversation import Conversation
from agent.proposers.llm.prompt.gather import gather
from agent.proposers.llm.prompt.templates import Templates
from agent.proposers.llm.tokens import estimate_tokens
from archive.confirmations import Confirmation, Difference
from archive.merging.renaming import renamed_record
from archive.records.record import Note, Prediction, Record
from archive.seeding import shipped_by_variant
from evaluator.outcomes import CurvePoint, Finding, Status, Trial
from evaluator.protocols.built_in import QUICK
from evaluator.statistics.moderated_t_test import noise_by_task
from evaluator.statistics.scorecards import scorecard
from evaluator.statistics.verdicts import verdict
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import (
    make_archive_of,
    make_check,
    make_provenance,
    make_record,
    make_scores,
    make_snapshot,
    make_trial,
    make_variant,
)
from variants.contract import BASELINE, REFERENCE, short_name
from variants.seeds import seed_variants

SKIP = "delta_net_4layer_skip_in_for_loop"
NO_OP = "delta_net_4layer_normalize_keys_in_for_loop"
DECAY = "delta_net_4layer_decay_state_update_in_for_loop"
BEST_FINDS = (
    "channel_product_keys_phase_echo_decay",
    "own_error_all_channels_product_keys_added_phase_echo_decay",
    "products_only_state_written_echo_successor_own_error",
    "written_echo_and_successor_halves_own_error",
)
SKIP_SOURCE = seed_variants()[BASELINE].source.replace(
    "o_n.append(o_inter + attn @ u_i)", "o_n.append(o_inter + attn @ u_i + Dk**-0.5 * u_i)"
)


def trials_of(name: str, means: Mapping[str, float], source: str = "") -> list[Trial]:
    """Three seeds a task, 0.001 apart."""
    variant = make_variant(name, source) if source else name
    spread = (-0.001, 0.0, 0.001)
    return [make_trial(variant, task, seed, means[task] + d) for task in MAD_TASKS for seed, d in enumerate(spread)]


def snapshot_of(
    trials: Mapping[str, Sequence[Trial]], records: Sequence[Record] = (), **fields: Any
) -> ArchiveSnapshot:
    own = {record.proposal.variant.name: record.proposal.variant for record in records}
    return make_snapshot(
        standings={name: scorecard(list(found)).scores for name, found in trials.items()},
        trials=trials,
        history=tuple(records),
        variants={**seed_variants(), **own},
        **fields,
    )


@pytest.fixture
def found() -> ArchiveSnapshot:
    """The shipped trials, but for the best finds, and a proposal that is the best of all but for one task."""
    trials = {name: own for name, own in shipped_by_variant(QUICK.name).items() if short_name(name) not in BEST_FINDS}
    means = {"Compress": 0.34, "Context Recall": 0.998, "Fuzzy Recall": 0.95, "Memorize": 0.95, "Noisy Recall": 0.998}
    trials[SKIP] = trials_of(SKIP, {**means, "Selective Copy": 0.985}, SKIP_SOURCE)
    predictions = dict.fromkeys(MAD_TASKS, Prediction(mean=0.5, low=0.4, high=0.6, why="the skip is heard."))
    verdicts = (verdict(trials[SKIP], trials[DECAY], DECAY, noise_by_task(trials, MAD_TASKS)),)
    told = {"parent": DECAY, "title": "A skip", "mathematics": "o += u", "predictions": predictions}
    of_skip = {"name": SKIP, "source": SKIP_SOURCE, "trials": tuple(trials[SKIP]), "verdicts": verdicts}
    record = make_record(number=1, **of_skip, **told)
    return snapshot_of(trials, (record,))


def test_the_best_of_the_run_leads_and_no_no_op_is_offered(found: ArchiveSnapshot) -> None:
    offered = select_parents(found, "code", Focus(task="Compress"))
    names = [each.name for each in offered]
    assert names[0] == SKIP
    assert NO_OP not in names
    assert BASELINE in names
    assert len(names) == len(set(names)) <= 5
    assert len(names) >= 3
    scored = set(found.variants) & set(found.standings) - {REFERENCE}
    assert max(scored, key=lambda name: found.standings[name]["Compress"].mean) in names


def test_who_is_as_near_as_the_best_but_for_noise_is_offered_too(found: ArchiveSnapshot) -> None:
    (offered,) = [each for each in select_parents(found, "code", Focus(task="Compress")) if "but for noise" in each.why]
    assert offered.name == next(name for name in nearest_first(best_board(found), found.standings) if name != SKIP)


def test_of_those_that_were_stopped_early_the_ones_with_a_gain_are_shown_in_full(found: ArchiveSnapshot) -> None:
    gain, none = (f"delta_net_4layer_{word}_in_for_loop" for word in ("gain", "none"))
    (parent,) = [t.accuracy or 0 for t in found.trials[DECAY] if (t.task, t.seed) == ("Fuzzy Recall", 0)]
    records = [
        make_record(
            Status.PRUNED,
            name,
            number=number,
            source=SKIP_SOURCE + f"# {name}\n",
            parent=DECAY,
            reason="PRUNED: stopped after 1 of 15 trials: no chance",
            trials=(make_trial(name, "Fuzzy Recall", 0, parent + more),),
        )
        for number, name, more in ((2, gain, 0.1), (3, none, -0.1))
    ]
    many = snapshot_of(found.trials, [*(record for record in found.history if isinstance(record, Record)), *records])
    shown = {attempt.name: attempt for attempt in shown_attempts(many)}
    assert (short_name(gain) in shown, short_name(none) in shown) == (True, False)
    assert shown[short_name(gain)].diff
    assert (
        shown[short_name(gain)].lines[0].startswith("Stopped early, not refuted on every task: stopped after 1 of 15")
    )


def test_islands_lead_with_other_families(found: ArchiveSnapshot) -> None:
    leads = {select_parents(found, "code", Focus(task="Compress", island=island))[0].name for island in range(3)}
    assert len(leads) == 3


def test_a_copy_of_its_parent_in_every_seed_is_no_parent(found: ArchiveSnapshot) -> None:
    name = "delta_net_4layer_idle_in_for_loop"
    same = [trial.model_copy(update={"variant": name}) for trial in found.trials[SKIP]]
    record = make_record(name=name, source=SKIP_SOURCE + "\n", trials=tuple(same), number=2, parent=SKIP)
    copied = snapshot_of({**found.trials, name: same}, (*found.history, record))  # type: ignore[arg-type]
    assert name not in [each.name for each in select_parents(copied, "code", Focus(task="Compress"))]


def test_a_forced_parent_leads(found: ArchiveSnapshot) -> None:
    forced = replace(found, forced_parent=NO_OP)
    assert select_parents(forced, "code", Focus())[0].name == NO_OP
    with pytest.raises(UserError, match="no mechanisms of the catalogue make it"):
        select_parents(replace(found, forced_parent=SKIP), "structured", Focus())


def test_nothing_measured_still_offers_the_baseline() -> None:
    none = make_snapshot(published=make_snapshot().published.iloc[:0])
    assert select_parents(none, "code", Focus()) == (OfferedParent(BASELINE, AFRESH),)
    assert focus_of(none, "code", Claims().share).task in MAD_TASKS


def test_the_focus_follows_what_is_lacking(found: ArchiveSnapshot) -> None:
    weak = weaknesses(best_board(found))
    assert max(weak, key=lambda task: weak[task]) == "Compress"
    assert focus_of(found, "code", Claims().share).task == "Compress"
    claims = Claims()
    assert len({focus_of(found, "code", claims.share) for _ in range(4)}) == 4
    assert focus_of(found, "structured", claims.share).task is None
    lines = moved_lines(found, "Compress")
    assert "units of noise short of the goal" in lines[0]
    assert lines[1] == "What lowered Compress most: `skip` -0.011 against `decay_state_update` (within noise)."


def test_a_goal_that_is_reached_but_for_noise_is_no_weakness(found: ArchiveSnapshot) -> None:
    board = best_board(found)
    challenge = Challenge.of(board)
    assert challenge is not None
    means = {task: challenge.goals[task] - 0.1 * challenge.noise[task] for task in MAD_TASKS}
    near = snapshot_of({**found.trials, SKIP: trials_of(SKIP, means, SKIP_SOURCE)}, found.history)  # type: ignore[arg-type]
    weak = weaknesses(best_board(near))
    assert {task: pytest.approx(1 - means[task], abs=1e-3) for task in MAD_TASKS if means[task] < 0.9} == {
        task: weak[task] for task in MAD_TASKS if means[task] < 0.9
    }
    first, second, *_ = moved_lines(near, "Compress")
    assert first.startswith("Every goal is reached, as far as noise can tell, by `skip`. Worth knowing now: whether")
    assert "is reached but for noise" in second


def test_where_all_is_reached_less_state_is_worth_knowing() -> None:
    nearest_carries_more = snapshot_of(shipped_by_variant(QUICK.name), [])
    (first, *_) = moved_lines(nearest_carries_more, "Compress")
    assert "keys_phase_echo_decay`, which carries 2.01× the baseline's state from chunk to chunk. Worth" in first
    assert "hold with less of that, or with a shorter loop" in first


def test_gains_of_stopped_proposals_are_told_where_they_moved_a_task(found: ArchiveSnapshot) -> None:
    name = "delta_net_4layer_stopped_in_for_loop"
    (parent,) = [t.accuracy or 0 for t in found.trials[DECAY] if (t.task, t.seed) == ("Compress", 0)]
    stopped = make_record(
        Status.PRUNED,
        name,
        number=2,
        source=SKIP_SOURCE + "# stopped\n",
        parent=DECAY,
        reason="PRUNED: stopped after 1 of 18 trials: no chance",
        trials=(make_trial(name, "Compress", 0, parent + 0.02),),
    )
    lines = moved_lines(replace(found, history=(*found.history, stopped)), "Compress")
    assert "What raised Compress most: `stopped` +0.020 against `decay_state_update` (within noise)." in lines


def test_shares_are_given_out_by_what_each_deserves() -> None:
    claims = Claims()
    given = [claims.share("x", {"much": 3.0, "little": 1.0}) for _ in range(8)]
    assert given.count("much") == 6
    assert claims.share("y", {}) is None


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("+        o_n.append(o_inter + u_i)", "output"),
        ("+        S = 0.9 * S + k_i.mT @ u_i", "decay"),
        ("+        S = S + k_i.mT @ (2 * u_i)", "update"),
        ("-        attn = (q_i @ k_i.mT)", "scores"),
    ],
)
def test_a_changed_line_tells_the_place(line: str, place: str) -> None:
    assert changed_places([line]) == {place}


def test_an_attempt_is_told_in_full(found: ArchiveSnapshot) -> None:
    difference = Difference(mean=0.03, low=0.01, high=0.05, n=6)
    confirmation = Confirmation(
        variant=SKIP, against=BASELINE, protocol="quick", protocol_hash=QUICK.hash, outcome="confirmed",
        first=difference, fresh=difference, created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    (told,) = shown_attempts(replace(found, confirmations={SKIP: confirmation}))
    assert any(line == "+        o_n.append(o_inter + attn @ u_i + Dk**-0.5 * u_i)" for line in told.diff)
    assert told.mathematics == "o += u"
    said = "\n".join(told.lines)
    assert 'Refuted: Memorize 0.400 to 0.600, because "the skip is heard"; measured 0.950.' in said
    assert "On fresh seeds confirmed: +0.030 [+0.010, +0.050]" in said
    (known,) = shown_attempts(found, by_loop=(SKIP,))
    assert known.is_parent
    assert known.diff == ()


def test_outlines_are_read_in_full_from_the_archive(tmp_path: Path) -> None:
    archive = make_archive_of(tmp_path / "archive", [seed_variants()[BASELINE]], published=True)
    archive.tell(make_record(number=0), "report")
    snapshot = take_snapshot(archive, "quick", seed=0, left=Left(2))
    (outline,) = snapshot.history
    whole = snapshot.whole(outline)
    assert whole is not None
    assert whole.proposal.mathematics == "S += 1"
    assert snapshot.left == Left(2)


def test_a_prompt_stays_readable_however_much_was_tried(found: ArchiveSnapshot) -> None:
    trials, records = {**shipped_by_variant(QUICK.name), **found.trials}, list(found.history)
    for number in range(2, 80):
        name = f"delta_net_4layer_another_skip_of_something_else_{number}_in_for_loop"
        trials[name] = [trial.model_copy(update={"variant": name}) for trial in found.trials[DECAY]]
        known = found.history[0]
        assert isinstance(known, Record)
        proposal = known.proposal.model_copy(update={"variant": make_variant(name, SKIP_SOURCE), "title": "A" * 60})
        records.append(known.model_copy(update={"number": number, "proposal": proposal, "trials": tuple(trials[name])}))
    many = snapshot_of(trials, records)
    focus = focus_of(many, "code", Claims().share)
    facts = gather(many, "code", "m", select_parents(many, "code", focus), focus, {})
    assert estimate_tokens(Conversation.begin(facts, Templates()).text) < 18_000
    assert facts.history[-1].startswith("5")
    assert "older ones, among them" in facts.history[-1]


def test_kernels_are_shown_by_their_loops(found: ArchiveSnapshot) -> None:
    shown = loop_kernel(found, OfferedParent(SKIP))
    assert shown.source == ""
    assert shown.loop.lstrip().startswith("for i in range")
    assert shown.around == ()
    momentum = loop_kernel(found, OfferedParent("delta_net_4layer_momentum_state_update_in_for_loop"))
    assert momentum.around == ("+    M = torch.zeros_like(S)",)
    baseline = loop_kernel(found, OfferedParent(BASELINE))
    assert (baseline.source, baseline.loop) == ("", "")


def test_a_parent_with_more_state_says_so(found: ArchiveSnapshot) -> None:
    momentum = f"{BASELINE}_momentum_state_update_in_for_loop"
    parents = (OfferedParent(momentum, "a reason"), OfferedParent(BASELINE, AFRESH))
    facts = gather(found, "code", "m", parents, Focus(), {})
    assert facts.parent.why == "a reason; carries 2× the baseline's state from chunk to chunk"
    assert facts.others[0].why == AFRESH
    assert facts.parent.why in Conversation.begin(facts, Templates()).text


def test_an_attempt_with_more_state_says_so(found: ArchiveSnapshot) -> None:
    larger = Finding(check="state", status="warn", message="", evidence={"numbers": 8192})
    known = [r if i else r.model_copy(update={"check": make_check(larger)}) for i, r in enumerate(found.history)]
    attempts = {attempt.name: attempt for attempt in shown_attempts(replace(found, history=tuple(known)))}
    first = short_name(known[0].proposal.variant.name)
    told = "Carries 2× the baseline's state from chunk to chunk."
    assert [name for name, attempt in attempts.items() if told in attempt.lines] == [first]


def test_seeds_and_speed(found: ArchiveSnapshot) -> None:
    (row,) = seed_rows(found.trials, [SKIP], MAD_TASKS)
    assert row.cells[3] == ".949 .950 .951"

    def with_curve(name: str, losses: Sequence[float]) -> Trial:
        points = tuple(CurvePoint(step=10 * (i + 1), loss=loss) for i, loss in enumerate(losses))
        return make_trial(name, "Memorize", curve=points)

    trials = {
        BASELINE: [with_curve(BASELINE, (4.0, 3.0, 2.0, 1.0, 1.0, 1.0))],
        SKIP: [with_curve(SKIP, (4.0, 1.0, 1.0, 1.0, 1.0, 1.0))],
        NO_OP: [with_curve(NO_OP, (4.0, 4.0, 4.0, 4.0, 4.0, 4.0))],
    }
    rows = {row.name: row.cells[3] for row in speed_rows(trials, trials, MAD_TASKS)}
    assert rows == {BASELINE: "67 %", "skip": "33 %", "normalize_keys": "not"}
    assert speed_rows({BASELINE: [make_trial(BASELINE)]}, [BASELINE], MAD_TASKS) == ()


def test_the_reference_is_told_with_its_parameters() -> None:
    width, heads = QUICK.width, QUICK.heads
    assert further_parameters(QUICK) == QUICK.blocks * (width * width + width + width * heads + 2 * heads)
    assert f"{further_parameters(QUICK):,} trained parameters more" in reference_lines("quick")[2]
    assert reference_lines("unheard of") == ()


def test_rows_of_a_larger_protocol_tell_of_single_seeds_and_of_the_floor() -> None:
    above = {"standard": {BASELINE: make_scores(0.5, n=2), DECAY: make_scores(0.6, n=1), SKIP: {}}}
    (rung,) = rows_above(make_snapshot(above=above))
    assert [row.name for row in rung.rows] == ["decay_state_update (one seed)", BASELINE, "no memory"]
    assert rung.rows[-1].cells[MAD_TASKS.index("Memorize")] == "0.918"
    assert rows_above(make_snapshot(above={"standard": {}})) == ()


def test_scores_have_a_scale(found: ArchiveSnapshot) -> None:
    rows = {row.name: row.cells for row in scale_rows(measured_board(found))}
    assert rows["no memory"][3] == "0.971"
    assert rows["ceiling"][1] == "1, reached"
    assert len(rows["goal"]) == len(MAD_TASKS)


def test_the_literature_fits_the_task_and_the_place() -> None:
    places, papers = set(), set()
    for idea in digest():
        places |= set(idea.places)
        papers |= set(idea.papers)
        assert set(idea.tasks) <= set(MAD_TASKS)
    assert places <= FOCUSES.keys()
    assert all(re.fullmatch(r"\d{4}\.\d{5}", paper) for paper in papers)
    lines = literature_lines(Focus(task="Memorize", slot="output"), 0)
    first = next(idea for idea in digest() if lines[0].startswith(idea.idea))
    assert "Memorize" in first.tasks
    assert "output" in first.places
    assert 1 <= len(lines) <= 4
    assert literature_lines(Focus(), 0) == ()


def test_the_notebook_of_the_newest_proposal_is_shown_with_its_evidence(found: ArchiveSnapshot) -> None:
    notes = (
        Note(claim="The baseline has 0.9 on Memorize.", links=(BASELINE,)),
        Note(claim="A skip is heard.", links=("skip", "unheard_of")),
        Note(claim="Without evidence.", links=("unheard_of",)),
    )
    asked = make_provenance("openai", model="m")
    old = make_record(name="delta_net_4layer_a_in_for_loop", number=2, provenance=asked, notebook=notes[2:])
    new = make_record(name="delta_net_4layer_b_in_for_loop", number=3, provenance=asked, notebook=notes)
    without = make_record(name="delta_net_4layer_c_in_for_loop", number=4, provenance=asked)
    lines = notebook_lines(replace(found, history=(*found.history, old, new, without)))
    assert len(lines) == 3
    assert lines[2] == "Not in it yet: `b`, `c`"
    assert lines[0].startswith(f"The baseline has 0.9 on Memorize. (`{BASELINE}`) CONTRADICTED: it says 0.9 for")
    assert lines[1] == "A skip is heard. (`skip`)"
    assert notebook_lines(found) == ()


def test_links_of_a_notebook_follow_a_new_name() -> None:
    notes = (Note(claim="`skip` is heard.", links=("skip", SKIP)),)
    renamed = renamed_record(make_record(notebook=notes), {SKIP: "delta_net_4layer_skip_2_in_for_loop"})
    (note,) = renamed.proposal.notebook
    assert note.links == ("skip_2", "delta_net_4layer_skip_2_in_for_loop")
    assert note.claim == "`skip_2` is heard."


def test_what_is_left_is_said() -> None:
    assert left_lines(Left(3, 12.4)) == ("Left to this search: 3 proposals, yours among them, within 12 minutes.",)
    assert left_lines(None) == ()


def test_a_prompt_contradicts_itself_nowhere(found: ArchiveSnapshot) -> None:
    """One statement on the challenge, and the best that is named is the first row of the table."""
    facts = gather(found, "code", "m", select_parents(found, "code", Focus()), Focus(), {})
    (said,) = [line for line in facts.insights if "comes closest" in line or "on all six tasks" in line]
    assert f"`{facts.measured[0].name}`" in said
    assert facts.parents[0] == SKIP
    assert len([row for row in facts.measured if row.name == REFERENCE]) == 1
    assert found.history[0].status is Status.SCORED
