"""What a protocol fixes, and the trials that follow from it: settings, grid, model size, schedule, seeds, test set."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evaluator.device import DeviceName, Precision, precision_on
from evaluator.model.config import MixerShape, ModelConfig, mixer_parameters, mixer_shape
from evaluator.tasks.names import TaskName
from evaluator.tasks.registry import TASKS, examples, fed_length
from evaluator.tasks.task import Setting, TaskPlan
from evaluator.training.jobs import EpochSelection, TrainingJob
from evaluator.values import Value
from variants.contract import Layer

if TYPE_CHECKING:
    from torch import Tensor


class TrialSpec(Value):
    """One training run of a protocol, for any variant. `setting` is a Setting's id."""

    task: TaskName
    setting: str
    lr: float
    weight_decay: float
    seed: int


class Protocol(Value):
    """Everything that decides a score besides the variant. Scores of different hashes never mix.

    `warmup`: share of the steps. `held_examples`: size of the set that chooses the best epoch; 0 keeps the last step.
    `meaning` goes up when code changes what the other fields mean.
    """

    name: str
    tasks: dict[TaskName, TaskPlan]
    seeds: tuple[int, ...] = Field(min_length=1)
    width: int = 128
    heads: int = 1
    inner: int = 352
    blocks: int = 2
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup: float = Field(default=0.0, ge=0, le=0.5)
    betas: tuple[float, float] = (0.9, 0.999)
    held_examples: int = Field(default=0, ge=0)
    stop_at_accuracy: float = 0.999
    precision: Precision = "float32"
    meaning: Literal[1] = 1

    @property
    def hash(self) -> str:
        """Content hash: 16 hex digits."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]

    def mixer(self, layer: Layer) -> MixerShape:
        """Sizes of a layer's mixer."""
        return mixer_shape(layer, self.width, self.heads)

    def mixer_parameters(self, layer: Layer) -> int:
        """Trained numbers of one of a layer's mixers."""
        return mixer_parameters(layer, self.width, self.mixer(layer))

    def setting(self, spec: TrialSpec) -> Setting:
        """The setting that a spec names. Raises KeyError if the protocol has none of that name."""
        return {setting.id: setting for setting in self.tasks[spec.task].settings}[spec.setting]

    def model(self, setting: Setting, layer: Layer) -> ModelConfig:
        """The model trained at a setting."""
        return ModelConfig(
            backbone=TASKS[setting.task].backbone,
            layer=layer,
            vocabulary=setting.vocabulary,
            length=fed_length(setting),
            width=self.width,
            heads=self.heads,
            inner=self.inner,
            blocks=self.blocks,
            chunk_size=self.tasks[setting.task].chunk_size,
        )

    def job(self, spec: TrialSpec, layer: Layer, device: DeviceName = "cpu", threads: int = 1) -> TrainingJob:
        """The training job of a trial."""
        setting, plan = self.setting(spec), self.tasks[spec.task]
        steps = plan.steps_of(setting)
        selection = EpochSelection(every=plan.epoch_of(setting), stop_at_accuracy=self.stop_at_accuracy)
        return TrainingJob(
            model=self.model(setting, layer),
            lr=spec.lr,
            weight_decay=spec.weight_decay,
            betas=self.betas,
            schedule=self.schedule,
            warmup=round(self.warmup * steps),
            steps=steps,
            batch=plan.batch,
            seed=spec.seed,
            selection=selection if self.held_examples else None,
            threads=threads,
            device=device,
            precision=precision_on(device, self.precision),
        )

    def training_data(self, spec: TrialSpec) -> dict[str, "Tensor"]:
        """What the training process gets: `inputs`, `targets`, and `held_*` where the protocol chooses an epoch."""
        setting = self.setting(spec)
        train = examples(setting, "train", setting.train_examples, spec.seed)
        data = {"inputs": train.inputs, "targets": train.targets}
        if self.held_examples:
            held = examples(setting, "held", self.held_examples, spec.seed)
            data |= {"held_inputs": held.inputs, "held_targets": held.targets}
        return data


def trial_specs(
    protocol: Protocol, tasks: Sequence[TaskName] | None = None, seeds: Sequence[int] | None = None
) -> tuple[TrialSpec, ...]:
    """All trials of a protocol, or of some of its tasks, on its own seeds or on others. Seeds vary slowest."""
    return tuple(
        TrialSpec(task=task, setting=setting.id, lr=lr, weight_decay=decay, seed=seed)
        for seed in (protocol.seeds if seeds is None else seeds)
        for task in (protocol.tasks if tasks is None else tasks)
        for setting in protocol.tasks[task].settings
        for lr in protocol.tasks[task].lr
        for decay in protocol.tasks[task].weight_decay
    )
