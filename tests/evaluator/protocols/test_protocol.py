"""Protocols: what they fix, how they hash, which trials they ask for; and that the shipped ones can be run."""

from typing import Any

import pytest
import torch

from evaluator.model.backbones import build
from evaluator.model.config import WIDE
from evaluator.protocols.built_in import EXTRA, JUDGING, MAD, PROTOCOLS, QUICK, SMOKE, STANDARD
from evaluator.protocols.protocol import Protocol, TrialSpec, trial_specs
from evaluator.scoring.score import ScoredTrial, score
from evaluator.tasks.registry import MAD_TASKS, TASKS, tasks_of_suite
from evaluator.training.jobs import TrainingJob
from evaluator.training.train import train
from tests.evaluator.delta_rule import chunkwise
from variants.contract import Layer, Variant
from variants.outside_archives import other_references
from variants.seeds import seed_variants


def changed(protocol: Protocol, **changes: Any) -> Protocol:
    return Protocol.model_validate(protocol.model_dump() | changes)


def test_registry() -> None:
    assert PROTOCOLS == {"smoke": SMOKE, "quick": QUICK, "standard": STANDARD, "mad": MAD, "extra": EXTRA}
    assert JUDGING == (SMOKE, QUICK, STANDARD, MAD)
    assert set(EXTRA.tasks) == set(tasks_of_suite("recall+"))
    assert set(TASKS) == {*MAD_TASKS, *EXTRA.tasks}


def test_hash_is_of_the_content() -> None:
    assert Protocol.model_validate_json(QUICK.model_dump_json()).hash == QUICK.hash
    assert len({protocol.hash for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)
    for changes in ({"width": 32}, {"seeds": (0, 1)}, {"betas": (0.9, 0.9)}, {"name": "quicker"}):
        assert changed(QUICK, **changes).hash != QUICK.hash


def test_the_content_of_the_protocols_that_ship_is_what_it_was() -> None:
    """Scores of other content do not count: whoever changes one of these has to measure anew what ships."""
    assert {name: protocol.hash for name, protocol in PROTOCOLS.items()} == {
        "smoke": "e7b12873a66614b8",
        "quick": "4375400447857cae",
        "mad": "80f5ff3d4e0f9945",
        "standard": "7181e93d3fc77e58",
        "extra": "ff0b7a16f050f35c",
    }


@pytest.mark.parametrize("protocol", [QUICK, STANDARD])
def test_only_the_reference_in_other_layers_has_a_shape_of_its_own(protocol: Protocol) -> None:
    shapes = {layer: protocol.mixer(layer) for layer in Layer}
    assert shapes.pop(Layer.WIDE_GATED_DELTA_NET) == WIDE
    drawn, of_seeds = shapes.pop(Layer.DRAWN_DECAY_GATED_DELTA_NET), {seed.layer for seed in seed_variants().values()}
    assert of_seeds == set(shapes)
    (shape,) = set(shapes.values())
    assert (shape.heads, shape.key_dim, shape.value_dim, shape.decay_up_to) == (1, protocol.width, protocol.width, 0)
    assert drawn == shape.model_copy(update={"decay_up_to": WIDE.decay_up_to})
    for reference in other_references().values():
        named_so = Variant(**reference.model_dump())
        assert named_so.layer is Layer.GATED_DELTA_NET, "a file of that name is an ordinary variant"
    model = build(protocol.model(protocol.tasks["Memorize"].settings[0], Layer.WIDE_GATED_DELTA_NET), chunkwise)
    assert model.get_parameter("layers.0.layer.out.weight").shape == (protocol.width, 6 * 512)


def test_standard_is_the_published_model_at_published_settings() -> None:
    assert (STANDARD.width, STANDARD.inner, STANDARD.blocks, STANDARD.heads) == (128, 352, 2, 1)
    for task, plan in STANDARD.tasks.items():
        assert set(plan.settings) <= set(TASKS[task].published)


def test_what_a_search_is_judged_by_is_the_published_suite() -> None:
    assert all(set(protocol.tasks) == set(MAD_TASKS) for protocol in JUDGING)
    assert not set(EXTRA.tasks) & set(MAD_TASKS)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="widht"):
        changed(QUICK, widht=3)


def test_mad_is_the_published_suite() -> None:
    specs = trial_specs(MAD)
    assert len(specs) == 396
    assert len(set(specs)) == 396
    assert {task: plan.settings for task, plan in MAD.tasks.items()} == {
        task: TASKS[task].published for task in MAD_TASKS
    }
    assert {spec.lr for spec in specs} == {1e-4, 5e-4, 1e-3}
    assert {spec.weight_decay for spec in specs} == {0.0, 0.1}
    total = sum(MAD.tasks[spec.task].steps_of(MAD.setting(spec)) for spec in specs)
    assert 5.3e6 < total < 5.5e6
    job = MAD.job(specs[0], Layer.DELTA_NET)
    assert (job.schedule, job.warmup, job.betas) == ("constant", 0, (0.9, 0.999))
    assert (job.model.width, job.model.inner, job.batch, job.steps) == (128, 352, 128, 20_000)
    assert job.selection is not None
    assert (job.selection.every, job.selection.stop_at_accuracy) == (100, 0.999)


def test_steps_count_the_smaller_last_batch() -> None:
    memorize = MAD.tasks["Memorize"]
    assert memorize.steps_of(memorize.settings[0]) == 400
    recall = MAD.tasks["Context Recall"]
    assert recall.epoch_of(recall.settings[-1]) == 7


def test_specs_of_some_tasks_and_other_seeds() -> None:
    specs = trial_specs(QUICK, tasks=("Memorize", "Compress"), seeds=(5, 9))
    assert [(spec.seed, spec.task) for spec in specs] == [
        (5, "Memorize"),
        (5, "Compress"),
        (9, "Memorize"),
        (9, "Compress"),
    ]
    assert len(trial_specs(QUICK)) == 6 * len(QUICK.seeds) == 18


def test_half_precision_is_for_cuda() -> None:
    spec = trial_specs(MAD)[0]
    assert MAD.job(spec, Layer.DELTA_NET, device="cuda").precision == "bfloat16"
    assert MAD.job(spec, Layer.DELTA_NET).precision == "float32"


@pytest.mark.parametrize("task", MAD_TASKS)
def test_training_data_is_paired_by_seed_and_has_training_targets(task: str) -> None:
    spec = trial_specs(SMOKE, tasks=[task])[0]
    data, again = SMOKE.training_data(spec), SMOKE.training_data(spec)
    assert data.keys() == {"inputs", "targets"}
    assert all(data[name].equal(again[name]) for name in data)
    model = SMOKE.job(spec, Layer.DELTA_NET).model
    assert model.backbone == ("autoencoder" if task == "Compress" else "language_model")
    assert data["inputs"].shape[1] == model.length
    next_token = torch.equal(data["targets"][:, :-1], data["inputs"][:, 1:])
    assert next_token == (task in ("Context Recall", "Noisy Recall", "Fuzzy Recall"))


def test_a_protocol_that_selects_gives_held_out_data_with_test_targets() -> None:
    spec = TrialSpec(task="Context Recall", setting="v16-l128-n800", lr=1e-3, weight_decay=0.0, seed=0)
    data = MAD.training_data(spec)
    assert data["held_inputs"].shape == (1_280, 127)
    assert not (data["targets"] == -100).any()
    assert (data["held_targets"] == -100).any()


@pytest.mark.slow
@pytest.mark.parametrize("spec", trial_specs(SMOKE), ids=lambda spec: spec.task)
def test_smoke_runs_from_data_to_score(spec: TrialSpec) -> None:
    from_data_to_score(SMOKE, spec)


@pytest.mark.slow
@pytest.mark.parametrize("spec", trial_specs(EXTRA, seeds=[0]), ids=lambda spec: f"{spec.task}-{spec.setting}")
def test_extra_runs_from_data_to_score(spec: TrialSpec) -> None:
    least = {"steps": 3, "test_examples": 8}
    tasks = {task: plan.model_copy(update=least) for task, plan in EXTRA.tasks.items()}
    scored = from_data_to_score(EXTRA.model_copy(update={"tasks": tasks}), spec)
    assert scored.predictions == 8 * 4, "as many a sequence as there are cuts: every sequence has so many to count"
    assert scored.certificate == 0


def from_data_to_score(protocol: Protocol, spec: TrialSpec) -> ScoredTrial:
    job = protocol.job(spec, Layer.DELTA_NET)
    weights = train(job.model_dump(mode="json"), protocol.training_data(spec), chunkwise, lambda _: None)
    scored = score(weights, job, protocol, spec, chunkwise)
    assert isinstance(scored, ScoredTrial)
    assert 0 <= scored.accuracy <= 1
    assert TrainingJob.model_validate_json(job.model_dump_json()) == job
    return scored
