"""Score seed variants, controls, or the reference in other layers: the figures that ship in `variants/leaderboards/`.

python -m benchmarks.measure_seeds --fingerprints
python -m benchmarks.measure_seeds --sizes
python -m benchmarks.measure_seeds --protocol quick
python -m benchmarks.measure_seeds --protocol quick --controls
python -m benchmarks.measure_seeds --protocol standard --name delta_net_4layer gated_delta_net_4layer
python -m benchmarks.measure_seeds --protocol standard --references --name gated_delta_net_4layer_drawn_decay
python -m benchmarks.measure_seeds --protocol standard --seeds 2 3 --name gated_delta_net_4layer

The first writes `fingerprints.json`, the second `sizes.json`, the third `PROTOCOL.trials.jsonl` and `PROTOCOL.csv`,
the fourth and the sixth the same with `PROTOCOL.controls` and `PROTOCOL.references` in their names. The last adds
seeds to those of the protocol, for some variants. Each trial is written as it ends, and one that is there for the same
code and protocol, scored or diverged, is not run again, so the command can be stopped and resumed.
"""

import argparse
import json
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from archive.files import read_lines, write_lines, write_text
from archive.names import find_name
from archive.tables.leaderboard_csv import PUBLISHED
from archive.tables.leaderboards import leaderboard_csv, scorecards
from evaluator.checks.fingerprint import PROBES_HASH, fingerprint
from evaluator.checks.state import measure_state
from evaluator.cores import usable_cores
from evaluator.outcomes import StateSize, Trial
from evaluator.protocols.built_in import PROTOCOLS
from evaluator.protocols.protocol import Protocol, trial_specs
from evaluator.sandbox import Sandbox
from evaluator.trials.run_trial import run_trial, spec_of
from evaluator.trials.trial_log import ends_the_same
from variants.contract import BASELINE, REFERENCE, Variant, short_name
from variants.controls import controls
from variants.outside_archives import other_references
from variants.seeds import seed_variants

FOLDER = PUBLISHED.parent


def main() -> None:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fingerprints", action="store_true", help="what each seed computes")
    parser.add_argument("--sizes", action="store_true", help="how much each seed and each control carries")
    parser.add_argument("--protocol", choices=list(PROTOCOLS), help="train and score the seeds")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--controls", action="store_true", help="train and score the controls instead of the seeds")
    instead.add_argument("--references", action="store_true", help="the reference in other layers instead")
    parser.add_argument("--name", nargs="+", help="train only these seeds or controls; the table keeps the others")
    parser.add_argument("--seeds", type=int, nargs="+", help="train on these seeds; else on those of the protocol")
    parser.add_argument("--jobs", type=int, default=usable_cores())
    parser.add_argument(
        "--table", action="store_true", help="train nothing; write the table of the trials that are there"
    )
    options = parser.parse_args()
    if options.protocol is None and (options.controls or options.references or options.name or options.seeds):
        parser.error("say under which protocol: --protocol standard")
    seeds = seed_variants()
    ordered = [seeds[BASELINE], seeds[REFERENCE], *(v for n, v in seeds.items() if n not in (BASELINE, REFERENCE))]
    chosen, ending = ordered, ""
    if options.controls:
        chosen, ending = list(controls().values()), ".controls"
    elif options.references:
        chosen, ending = list(other_references().values()), ".references"
    named = [full_name(name, chosen, parser) for name in options.name or ()] or [variant.name for variant in chosen]
    with Sandbox() as sandbox, ThreadPoolExecutor(options.jobs) as executor:
        if options.fingerprints:
            write_fingerprints(ordered, sandbox)
        if options.sizes:
            write_sizes(ordered, list(controls().values()), sandbox)
        if options.protocol is not None:
            protocol = PROTOCOLS[options.protocol]
            names = [] if options.table else named
            training = Training(protocol, names, tuple(options.seeds or protocol.seeds), sandbox, executor)
            write_scores(chosen, f"{protocol.name}{ending}", training)


def full_name(given: str, known: Sequence[Variant], parser: argparse.ArgumentParser) -> str:
    """The name of the variant that is meant; ends the program where there is none."""
    found = find_name(given, [variant.name for variant in known])
    if found is None:
        parser.error(f"--name: there is no {given}; there are {', '.join(short_name(each.name) for each in known)}")
    return found


@dataclass(frozen=True)
class Training:
    """What is to be trained, and where. names: of the variants."""

    protocol: Protocol
    names: Collection[str]
    seeds: Sequence[int]
    sandbox: Sandbox
    executor: Executor


def write_scores(variants: Sequence[Variant], stem: str, training: Training) -> None:
    """Measure into STEM.trials.jsonl, then derive the table STEM.csv of all that is there."""
    trials = measure(variants, FOLDER / f"{stem}.trials.jsonl", training)
    by_variant = {v.name: [trial for trial in trials if trial.variant == v.name] for v in variants}
    measured = {name: own for name, own in by_variant.items() if own}
    protocol = training.protocol
    table = leaderboard_csv(scorecards(protocol.name, measured), tuple(protocol.tasks))
    write_text(FOLDER / f"{stem}.csv", table)


def write_fingerprints(variants: Sequence[Variant], sandbox: Sandbox) -> None:
    """Keep the fingerprint of every seed by the hash of its source, and of which probes they are."""
    found = {}
    for variant in variants:
        with sandbox.kernel(variant) as kernel:
            found[variant.source_hash] = fingerprint(kernel, variant.contract)
    lines = ",\n".join(f'  "{source_hash}": {json.dumps(numbers)}' for source_hash, numbers in found.items())
    write_text(FOLDER / "fingerprints.json", f'{{"probes": "{PROBES_HASH}", "prints": {{\n{lines}\n}}}}\n')


def write_sizes(variants: Sequence[Variant], without_memory: Sequence[Variant], sandbox: Sandbox) -> None:
    """Keep the state size of every seed, by the hash of its source; that of a control, which reads no memory, is 0."""
    found = {variant.source_hash: StateSize(numbers=0) for variant in without_memory}
    for variant in variants:
        with sandbox.kernel(variant) as kernel:
            found[variant.source_hash] = measure_state(kernel, variant)
    lines = ",\n".join(f'  "{source_hash}": {size.model_dump_json()}' for source_hash, size in found.items())
    write_text(FOLDER / "sizes.json", f"{{\n{lines}\n}}\n")


def measure(variants: Sequence[Variant], path: Path, training: Training) -> list[Trial]:
    """Run the trials that the file at `path` lacks, the first seed of all variants before the second.

    Returns all that are there then, in a fixed order.
    """
    protocol = training.protocol
    current = {variant.name: variant.source_hash for variant in variants}
    done = {
        (trial.variant, spec_of(trial)): trial
        for trial in read_lines(path, Trial)
        if trial.protocol_hash == protocol.hash and trial.source_hash == current.get(trial.variant)
    }
    seeds = sorted({*protocol.seeds, *training.seeds, *(trial.seed for trial in done.values())})
    order = [(variant, spec) for variant in variants for spec in trial_specs(protocol, seeds=seeds)]
    asked = [
        (variant, spec)
        for spec in trial_specs(protocol, seeds=training.seeds)
        for variant in variants
        if variant.name in training.names
    ]
    ended = {key for key, trial in done.items() if ends_the_same(trial)}
    missing = [(variant, spec) for variant, spec in asked if (variant.name, spec) not in ended]
    running = {
        training.executor.submit(run_trial, variant, protocol, spec, training.sandbox): (variant, spec)
        for variant, spec in missing
    }
    began = time.monotonic()
    for count, future in enumerate(as_completed(running), 1):
        variant, spec = running[future]
        trial = done[variant.name, spec] = future.result()
        write_lines(path, [done[v.name, s] for v, s in order if (v.name, s) in done])
        left = (time.monotonic() - began) / count * (len(missing) - count) / 60
        print(f"{count}/{len(missing)} {trial.variant} {trial.task} seed {trial.seed}: {trial.status} {trial.accuracy} "
              f"({trial.cpu_seconds:.1f} CPU s; {left:.0f} min left)", flush=True)  # fmt: skip
    return [done[variant.name, spec] for variant, spec in order if (variant.name, spec) in done]


if __name__ == "__main__":
    main()
