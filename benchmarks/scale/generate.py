"""Makes an archive of many proposals: `python -m benchmarks.scale.generate FOLDER N`.

Genomes descend from the seed variants as in a real search; kernels are rendered from them; texts and reports are those
of a few real asks of the evolutionary proposer, renamed. Scores are a parent's, moved. Statuses come in the shares of
`SHARES`, as racing and the checks leave them. Every proposal is one commit, with the predictions of what was trained on
their own branch before it; `git fast-import` writes all, and a checkout makes the files. `archer verify` finds nothing.

Only the leaderboard is not in every commit: it is written `BOARDS` times over the history, since its text grows with
it.
"""

import argparse
import os
import random
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import numpy as np

from agent.analysis.snapshot import take_snapshot
from agent.catalogue import SEED_GENOMES, Genome, render_variant
from agent.proposers.evolution.evolve import EvolveProposer
from agent.proposers.evolution.variation import offspring
from agent.reports.report import render_report
from archive.predictions import BRANCH, Committed
from archive.records.folders import record_files
from archive.records.message import message
from archive.records.places import BORDER, prediction_places, proposal_place, variant_place
from archive.records.record import Cost, Proposal, Record
from archive.seeding import make_archive, shipped_by_variant
from archive.store import Archive
from archive.tables.leaderboards import LEADERBOARDS, leaderboard_csv
from benchmarks.lookup import made_up
from evaluator.checks.fingerprint import PROBES_HASH
from evaluator.outcomes import CheckReport, Finding, Grade, Status, Trial, Verdict
from evaluator.protocols.built_in import QUICK
from evaluator.statistics.moderated_t_test import noise_by_task
from evaluator.statistics.scorecards import scorecard
from evaluator.statistics.verdicts import verdict
from variants.contract import BASELINE, REFERENCE, Variant, short_name

SHARES = {Status.SCORED: 20, Status.PRUNED: 45, Status.REJECTED: 15, Status.DUPLICATE: 12, Status.FAILED: 8}
REASONS = {
    Status.SCORED: "",
    Status.PRUNED: "stopped after 6 of 18 trials: with all of them it would end ahead of its parent by more than noise "
    "with a chance of 0.3%, less than 1%; differences so far: Compress -0.021, Memorize +0.004",
    Status.REJECTED: "output at position 37 changes when position 40 does (max |Δ| 0.12)",
    Status.DUPLICATE: "computes the same as an earlier variant",
    Status.FAILED: "Fuzzy Recall, seed 1: diverged: the loss is not finite at step 120",
}
EVIDENCE = {"length": 100, "cut": 38, "max_abs": 0.12, "seed": 7}
MODELS = 12
BOARDS = 50
"""How often the history writes the leaderboard."""
EPOCH = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
APART = 300
"""Seconds between two proposals."""
PASSED = {
    "syntax": "the source parses",
    "fence": "computes on its inputs only",
    "signature": "delta_rule_chunkwise(q, k, v, beta, chunk_size)",
    "scope": "differs from its parent inside the for-loop only",
    "shapes": "o and S have the right shapes and dtypes",
    "lengths": "works at 15 lengths from 1 to 517",
    "finite": "outputs and gradients are finite",
    "mutation": "inputs are left as they were",
    "gradients": "gradients reach q, k, v, beta and agree with finite differences",
    "batch": "sequences of a batch do not affect each other",
    "heads": "heads do not affect each other",
    "prefix": "a truncated run equals the prefix of the full run",
    "causality": "no output before a cut depends on what comes after it",
    "complexity": "work grows as L^1.00",
    "determinism": "same inputs, same outputs, call after call and in a fresh process",
}


def main() -> None:
    """Make it and say how long that took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("proposals", type=int)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    began = time.monotonic()
    generate(chosen.folder, chosen.proposals, chosen.seed)
    print(f"{chosen.folder}: {chosen.proposals} proposals in {time.monotonic() - began:.0f} s")


def generate(folder: Path, count: int, seed: int = 0) -> None:
    """Make an archive of `count` proposals in `folder`, which must not exist."""
    search = MadeUpSearch(make_archive(folder), seed)
    with importing(folder) as stream:
        for number in range(1, count + 1):
            stream.tell(*search.proposal(number, stream))
            if number % max(1, count // BOARDS) == 0 or number == count:
                stream.file(f"{LEADERBOARDS}/{QUICK.name}.csv", leaderboard_csv(search.cards, tuple(QUICK.tasks)))
    git(folder, "reset", "--quiet", "--hard", "main")
    git(folder, "commit-graph", "write", "--reachable", "--split")  # as archer lets git keep one


class Stream:
    """Commits, in the language of `git fast-import`."""

    def __init__(self, root: Path, out: IO[bytes], answers: IO[bytes], tip: str) -> None:
        """out: the importer's standard input. answers: what it says of marks. tip: the main branch's newest commit."""
        self._root, self._out, self._answers, self._tip = root, out, answers, tip
        self._predictions = 0

    def predict(self, proposal: Proposal, moment: int) -> str:
        """Commit predictions as `archive.predictions` does; returns the commit's hash."""
        committed = Committed.of(proposal, QUICK.name, QUICK.hash)
        words = f"Predict {committed.variant}\n\nSource: {committed.source_hash}\nProtocol: {committed.protocol}"
        self._commit(BRANCH, words, moment)
        place = prediction_places(committed.variant)[self._predictions >= BORDER]
        self.file(place, committed.model_dump_json(indent=2) + "\n")
        self._predictions += 1
        self._out.write(b"get-mark :1\n")
        self._out.flush()
        return self._answers.readline().decode().strip()

    def tell(self, record: Record, report: str) -> None:
        """Commit a record with its variant."""
        self._commit("main", message(record), int(datetime.fromisoformat(record.created).timestamp()), self._tip)
        self._tip = ""
        for name, text in record_files(record, report).items():
            self.file(f"{proposal_place(self._root, record.id)}/{name}", text)
        variant = record.proposal.variant
        self.file(variant_place(self._root, variant.name, record.number), variant.source)

    def file(self, path: str, text: str) -> None:
        """A file of the newest commit."""
        content = text.encode()
        self._out.write(f"M 100644 inline {path}\ndata {len(content)}\n".encode() + content + b"\n")

    def _commit(self, branch: str, words: str, moment: int, after: str = "") -> None:
        content = words.encode()
        lines = [f"commit refs/heads/{branch}", "mark :1", f"committer archer <archer@localhost> {moment} +0000"]
        self._out.write("\n".join([*lines, f"data {len(content)}", ""]).encode() + content + b"\n")
        if after:
            self._out.write(f"from {after}\n".encode())


@contextmanager
def importing(folder: Path) -> Iterator[Stream]:
    """A stream into the repository; all of it is there afterwards. Raises SystemExit if git fails."""
    tip, (ours, theirs) = git(folder, "rev-parse", "HEAD"), os.pipe()
    command = ["git", "-C", str(folder), "fast-import", "--quiet", f"--cat-blob-fd={theirs}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[theirs]) as importer, os.fdopen(ours, "rb") as said:
        os.close(theirs)
        assert importer.stdin is not None
        yield Stream(folder, importer.stdin, said, tip)
        importer.stdin.close()
        if importer.wait():
            raise SystemExit("git fast-import failed")


class MadeUpSearch:
    """Proposals one after the other, each a child of what was scored before. cards: scorecards so far, by name."""

    def __init__(self, archive: Archive, seed: int) -> None:
        """archive: a new one, whose seed variants the first proposals descend from."""
        self._dice, self._chance = random.Random(seed), np.random.default_rng(seed)
        self._models = tuple(models(archive, seed))
        self._trials: dict[str, Sequence[Trial]] = dict(shipped_by_variant(QUICK.name))
        self._noise = noise_by_task(self._trials, tuple(QUICK.tasks))
        self._names, self._alike = set(archive.variant_names()), defaultdict[str, int](lambda: 1)
        self._genomes = {name: genome for name, genome in SEED_GENOMES.items() if name in self._trials}
        self._parents = list(self._genomes)
        self._prints: list[tuple[float, ...]] = []
        self.cards = {name: scorecard(trials) for name, trials in self._trials.items()}

    def proposal(self, number: int, stream: Stream) -> tuple[Record, str]:
        """The next record with its report; predictions of what was trained are committed before."""
        status = self._dice.choices(list(SHARES), list(SHARES.values()))[0]
        model, report = self._dice.choice(self._models)
        parent, other = self._dice.sample(self._parents, 2)
        genome = offspring(self._genomes[parent], self._genomes[other], self._dice)
        variant, moment = self._variant(genome), EPOCH + APART * number
        proposal = self._proposal(model.proposal, variant, parent, genome, number)
        trials = self._trained(variant, parent, status)
        card = scorecard(trials) if status is Status.SCORED else None
        record = Record(
            number=number,
            created=datetime.fromtimestamp(moment + APART // 2, UTC).isoformat(timespec="seconds"),
            proposal=proposal,
            status=status,
            reason=REASONS[status],
            protocol=QUICK.name,
            protocol_hash=QUICK.hash,
            check=self._check(variant, status),
            trials=trials,
            scorecard=card,
            verdicts=self._verdicts(trials, parent) if card else (),
            cost=Cost(cpu_seconds=sum(trial.cpu_seconds for trial in trials), wall_seconds=100.0),
            predicted=stream.predict(proposal, moment) if trials else None,
        )
        if card is not None:
            self._trials[variant.name], self.cards[variant.name] = trials, card
            self._genomes[variant.name] = genome
            self._parents.append(variant.name)
        old = model.proposal.variant.name
        return record, report.replace(old, variant.name).replace(short_name(old), short_name(variant.name))

    def _variant(self, genome: Genome) -> Variant:
        """The kernel under a free name."""
        kernel = render_variant(genome)
        name = kernel.name
        while name in self._names:
            self._alike[kernel.name] += 1
            end = f"_{self._alike[kernel.name]}_in_for_loop"
            name = f"{kernel.name.removesuffix('_in_for_loop')[: 120 - len(end)]}{end}"
        self._names.add(name)
        return Variant(name=name, source=kernel.source)

    def _proposal(self, model: Proposal, variant: Variant, parent: str, genome: Genome, number: int) -> Proposal:
        moved = {task: round(found.mean + self._dice.gauss(0, 0.05), 4) for task, found in model.predictions.items()}
        predictions = {
            task: found.model_copy(update={"mean": min(1.0, max(0.0, moved[task]))})
            for task, found in model.predictions.items()
        }
        origin = model.provenance.model_copy(
            update={"seed": number, "parents": (parent,), "mechanisms": genome.to_json()}
        )
        changes = {"variant": variant, "parent": parent, "predictions": predictions, "provenance": origin}
        return model.model_copy(update=changes)

    def _trained(self, variant: Variant, parent: str, status: Status) -> tuple[Trial, ...]:
        """The parent's trials, moved; fewer of what did not come to the end; none of what was not trained."""
        if status in (Status.REJECTED, Status.DUPLICATE):
            return ()
        shift = {task: self._dice.gauss(-0.02, 0.05) for task in QUICK.tasks}
        trials = self._trials[parent]
        ended = trials if status is Status.SCORED else trials[: self._dice.randint(3, 10)]
        return tuple(self._trial(trial, variant, shift[trial.task]) for trial in ended)

    def _trial(self, like: Trial, variant: Variant, shift: float) -> Trial:
        accuracy = (like.accuracy or 0.0) + shift + self._dice.gauss(0, 0.01)
        changes = {
            "variant": variant.name,
            "source_hash": variant.source_hash,
            "accuracy": min(1.0, max(0.0, accuracy)),
            "weights_hash": self._dice.randbytes(32).hex(),
            "wall_seconds": like.wall_seconds % 60,
        }
        return like.model_copy(update=changes)

    def _check(self, variant: Variant, status: Status) -> CheckReport:
        failed = "causality" if status is Status.REJECTED else ""
        found = {check: words for check, words in PASSED.items() if check != failed}
        findings = [{"check": check, "status": "pass", "message": words} for check, words in found.items()]
        if failed:
            findings.append({"check": failed, "status": "fail", "message": REASONS[status], "evidence": EVIDENCE})
        if not self._prints:
            self._prints = [tuple(row) for row in made_up(1_000, self._chance).round(9).tolist()]
        return CheckReport(
            name=variant.name,
            verdict="fail" if failed else "pass",
            duplicate_of=self._dice.choice(self._parents) if status is Status.DUPLICATE else None,
            sandbox_grade=Grade.A,
            seconds=5.0,
            findings=tuple(map(Finding.model_validate, findings)),
            fingerprint=() if failed else self._prints.pop(),
            probes="" if failed else PROBES_HASH,
        )

    def _verdicts(self, trials: Sequence[Trial], parent: str) -> tuple[Verdict, ...]:
        rivals = dict.fromkeys((parent, BASELINE, REFERENCE))
        return tuple(verdict(trials, self._trials[name], name, self._noise) for name in rivals)


def models(archive: Archive, seed: int) -> Iterator[tuple[Record, str]]:
    """Real asks, each as a record that was rejected, with its report."""
    for place in range(MODELS):
        snapshot = take_snapshot(archive, QUICK.name, seed=seed + place)
        record = Record(
            number=1,
            created=datetime.fromtimestamp(EPOCH, UTC).isoformat(),
            proposal=EvolveProposer().ask(snapshot).proposal,
            status=Status.REJECTED,
            reason=REASONS[Status.REJECTED],
            protocol=QUICK.name,
            protocol_hash=QUICK.hash,
        )
        yield record, render_report(record, snapshot)


def git(folder: Path, *arguments: str) -> str:
    """What git says. Raises CalledProcessError if it fails."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
