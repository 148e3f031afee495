"""Sizes of mixers: parameters, and the state in multiples of the baseline's."""

import json

import pytest

from agent.analysis.boards.board import PUBLISHED_NAME, measured_board
from agent.analysis.boards.sizes import (
    NO_SIZE,
    Size,
    open_sizes,
    record_size,
    sizes_of,
    state_words,
    unequal,
)
from agent.words import rounded, times
from archive.records.record import Record
from archive.store import Archive
from evaluator.model.backbones import build
from evaluator.model.mixers import DeltaNet
from evaluator.outcomes import Finding, Score, StateSize, Status
from evaluator.protocols.built_in import PROTOCOLS, QUICK
from evaluator.tasks.registry import MAD_TASKS
from tests.builders import SOURCE, make_check, make_record, make_snapshot
from variants.contract import BASELINE, REFERENCE, Layer
from variants.controls import ZERO
from variants.outside_archives import DRAWN_DECAY_REFERENCE, WIDE_REFERENCE
from variants.seeds import seed_variants

MOMENTUM = f"{BASELINE}_momentum_state_update_in_for_loop"
ECHO = f"{BASELINE}_phase_echo_decay_state_update_in_for_loop"
LAYERS = {
    Layer.DELTA_NET: BASELINE,
    Layer.GATED_DELTA_NET: REFERENCE,
    Layer.WIDE_GATED_DELTA_NET: WIDE_REFERENCE,
    Layer.DRAWN_DECAY_GATED_DELTA_NET: DRAWN_DECAY_REFERENCE,
}


def measured(state: StateSize | None, **fields: object) -> Record:
    """A scored proposal whose check found this; None: a check of before states were measured."""
    findings = () if state is None else (finding(state.model_dump(mode="json")),)
    return make_record(check=make_check(*findings), **fields)


def finding(evidence: dict[str, object]) -> Finding:
    return Finding(check="state", status="pass", message="", evidence=evidence)


@pytest.mark.parametrize("layer", Layer)
@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_parameters_are_those_of_each_mixer_of_the_models_that_are_trained(protocol, layer: Layer) -> None:
    plan = next(iter(protocol.tasks.values()))
    model = build(protocol.model(plan.settings[0], layer), lambda *_, chunk_size=32: None)
    mixers = [module for module in model.modules() if isinstance(module, DeltaNet)]
    assert len(mixers) == protocol.blocks
    assert {sum(p.numel() for p in mixer.parameters()) for mixer in mixers} == {protocol.mixer_parameters(layer)}
    assert open_sizes(protocol.name, None).of(LAYERS[layer]).parameters == protocol.mixer_parameters(layer)


def test_what_ships() -> None:
    sizes = open_sizes("quick", None)
    assert sizes.of(BASELINE).state == sizes.of(REFERENCE).state == 1.0
    assert (sizes.of(MOMENTUM).state_text, sizes.of(ECHO).state_text, sizes.of(ZERO).state_text) == ("2×", "1.01×", "0")
    assert [name for name in (BASELINE, REFERENCE, MOMENTUM, ECHO, ZERO) if sizes.of(name).is_larger] == [
        MOMENTUM,
        ECHO,
    ]
    assert sizes.of("unheard_of") == NO_SIZE
    assert "4,096 numbers" in sizes.legend


def test_a_mixer_of_another_shape_is_told_against_the_baseline() -> None:
    found = open_sizes("quick", None).of(WIDE_REFERENCE)
    assert found.state == 6 * 256 * 512 / (64 * 64) == 192
    assert found.parameters is not None
    assert found.parameters > 64 * (2 * 6 * 256 + 3 * 6 * 512), "q, k, v, the gate and the way back"


def test_of_the_published_table_only_states_of_the_baseline_s_layer_are_known() -> None:
    sizes = open_sizes(PUBLISHED_NAME, None)
    assert sizes.of(MOMENTUM) == Size(state=2.0)
    assert sizes.of(REFERENCE) == NO_SIZE


def test_a_proposal_has_what_its_check_measured(archive: Archive) -> None:
    twice = StateSize(numbers=8192, shapes={"S": (128, 64)})
    archive.tell(measured(twice, name="twice"), "r")
    archive.tell(measured(None, name="older"), "r")
    archive.tell(measured(StateSize(numbers=None), name="hidden"), "r")
    archive.tell(measured(StateSize(numbers=20_480, grows=True), name="growing"), "r")
    archive.tell(make_record(Status.FAILED, name="unchecked"), "r")
    sizes = open_sizes("quick", Archive(archive.root))
    names = ("twice", "older", "hidden", "growing", "unchecked", BASELINE)
    assert archive.variant(BASELINE) != seed_variants()[BASELINE], "of other code nothing ships"
    assert [sizes.of(name).state_text for name in names] == ["2×", "", "?", "grows", "", ""]
    assert {sizes.of(name).parameters for name in names} == {QUICK.mixer_parameters(Layer.DELTA_NET)}
    assert [sizes.of(name).is_larger for name in names] == [True, False, True, True, False, False]
    assert [record_size(record) for record in archive.records()] == [sizes.of(name) for name in names[:-1]]
    (check,) = archive.root.glob("proposals/0001-*/check.json")
    assert json.loads(check.read_text())["findings"][0]["evidence"]["numbers"] == 8192


def test_the_index_hears_of_a_changed_check(archive: Archive) -> None:
    archive.tell(measured(None, name="x"), "r")
    assert open_sizes("quick", archive).of("x").state is None
    (path,) = archive.root.glob("proposals/0001-*/check.json")
    changed = make_check(finding({"numbers": 4096})).model_dump_json()
    path.write_text(changed)
    assert open_sizes("quick", Archive(archive.root)).of("x").state == 1.0


def test_evidence_of_another_form_is_no_size() -> None:
    record = make_record(check=make_check(finding({"numbers": 4096, "unheard of": 1})))
    assert record.state is None
    assert record_size(record).state_text == ""


@pytest.mark.parametrize("name", ["mine", f"{REFERENCE}_x", f"{BASELINE}_x"])
def test_a_gated_proposal_has_the_gated_mixer_whatever_its_name(archive: Archive, name: str) -> None:
    gated = SOURCE.replace("delta_rule", "gated_delta_rule")
    archive.tell(make_record(name=name, source=gated), "r")
    archive.tell(make_record(name=f"{REFERENCE}_of_the_other_kind"), "r")
    sizes = open_sizes("quick", Archive(archive.root))
    assert sizes.of(name).parameters == QUICK.mixer_parameters(Layer.GATED_DELTA_NET)
    assert sizes.of(f"{REFERENCE}_of_the_other_kind").parameters == QUICK.mixer_parameters(Layer.DELTA_NET)
    assert record_size(archive.record(name)) == sizes.of(name)


def test_a_row_whose_code_cannot_be_read_has_a_size(archive: Archive) -> None:
    archive.tell(make_record(name="x"), "r")
    (archive.root / "variants/x.py").write_bytes(b"\xff")
    assert open_sizes("quick", Archive(archive.root)).of("x").parameters == QUICK.mixer_parameters(Layer.DELTA_NET)


def test_other_versions_of_a_protocol_have_no_parameters() -> None:
    record = make_record(protocol=QUICK.model_copy(update={"width": 32}))
    assert record_size(record).parameters is None


def test_words() -> None:
    assert [rounded(count) for count in (0, 96, 999, 17_280, 999_999, 6_291_456)] == [
        "0", "96", "999", "17.3k", "1M", "6.29M",
    ]  # fmt: skip
    assert [times(factor) for factor in (0, 0.5, 1, 1.0001, 1.0078, 2, 192)] == [
        "0", "0.5×", "1×", "1.001×", "1.01×", "2×", "192×",
    ]  # fmt: skip
    assert state_words(Size(state=2.0)) == "carries 2× the baseline's state from chunk to chunk"
    assert state_words(Size(state=1.0)) == state_words(NO_SIZE) == ""
    assert "grows" in state_words(Size(state=5.0, grows=True))
    assert "unknown" in state_words(Size(hidden=True))


def test_who_carries_more_is_told() -> None:
    scores = {task: Score(mean=0.5, low=0.4, high=0.6, n=3) for task in MAD_TASKS}
    snapshot = make_snapshot(standings={BASELINE: scores, MOMENTUM: scores}, noise=dict.fromkeys(MAD_TASKS, 0.1))
    (told,) = unequal(measured_board(snapshot), sizes_of(snapshot))
    assert "`momentum_state_update` 2×" in told
    assert BASELINE not in told
    few = make_snapshot(standings={BASELINE: scores}, noise={})
    assert unequal(measured_board(few), sizes_of(few)) == ()
