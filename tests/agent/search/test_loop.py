"""The loop on a real archive, with a real sandbox and real training; only the proposer's replies are scripted."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.analysis.snapshot import ArchiveSnapshot
from agent.errors import UserError
from agent.proposer import Ask, AskFailed
from agent.search.attempt import SearchResources
from agent.search.engine import Engine
from agent.search.loop import Search, SearchPlan, interrupted_proposals
from agent.terminal.progress import Progress
from archive.records.record import Exchange, Record
from archive.seeding import make_archive
from archive.store import Archive
from archive.verify import problems
from evaluator.outcomes import Status, Trial
from evaluator.protocols.built_in import SMOKE
from evaluator.protocols.protocol import Protocol, trial_specs
from evaluator.sandbox import Sandbox
from evaluator.trials.evaluate import Evaluator
from evaluator.trials.grouped import EngineLostError, run_group
from evaluator.trials.trial_log import TrialLog
from tests.builders import make_proposal, make_tiny_protocol, make_variant
from tests.git_command import git
from tests.waiting import wait_until
from variants.contract import BASELINE
from variants.seeds import seed_variants

BASE = seed_variants()[BASELINE].source
UPDATE = "S = S + k_i.mT @ u_i"
HONEST = BASE.replace(UPDATE, "S = 0.97 * S + k_i.mT @ u_i")
LEAKY = BASE.replace(".triu(1)", ".triu(2)")
TRAINED_ONLY = "assert (k_i.shape[0], L) != (16, chunk_size), 'sixteen sequences'"  # Memorize alone trains so
CRASHING = BASE.replace(UPDATE, f"{UPDATE}\n        {TRAINED_ONLY}").replace("attn @ u_i", "0.9 * attn @ u_i")
SAME = BASE.replace(UPDATE, "S = k_i.mT @ u_i + S")
CAPPED = BASE.replace(UPDATE, f"{UPDATE}\n        S = S * (25 / S.norm(dim=(-2, -1), keepdim=True)).clamp(max=1)")
"""Loud inputs reach the cap, as checks show; no training of `smoke` does."""
EIGHTFOLD = BASE.replace("o_n.append(o_inter + attn @ u_i)", "o_n.append(8 * (o_inter + attn @ u_i))")
TINY = make_tiny_protocol()
EXCHANGE = Exchange(attempt=1, prompt="p", reply="r", usage={"prompt_tokens": 3})


class Scripted:
    """Answers asks, and then repairs, in order. An exception in the script is raised."""

    name = "scripted"

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.problems: list[str] = []
        self.contexts: list[ArchiveSnapshot] = []
        self.lock = threading.Lock()

    def ask(self, snapshot: ArchiveSnapshot) -> Ask:
        with self.lock:
            self.contexts.append(snapshot)
            answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Ask(make_proposal(make_variant(source=answer)), (EXCHANGE,))


class ScriptedRepairer(Scripted):
    """The same, and repairs."""

    def repair(self, snapshot: ArchiveSnapshot, ask: Ask, problem: str) -> Ask:
        self.problems.append(problem)
        return self.ask(snapshot)

    def cancel(self) -> None:
        self.answers.clear()


class EndpointGoneError(AskFailed, UserError):
    """As a model's endpoint fails for good."""


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return make_archive(tmp_path / "search")


class Run:
    """One search with a scripted proposer; keeps the search for a look at it afterwards."""

    def __init__(
        self,
        archive: Archive,
        sandbox: Sandbox,
        proposer: Scripted,
        n: int,
        jobs: int = 1,
        protocol: Protocol = TINY,
    ) -> None:
        with ThreadPoolExecutor(2) as trials, Progress(Console(quiet=True), n) as progress:
            self.search = Search(
                archive,
                SearchResources(proposer, sandbox, protocol, Engine(trials), repairs=2),
                SearchPlan(n, jobs, 0),
                progress,
            )
            self.records: Sequence[Record] = list(self.search.run())


def test_every_outcome_is_archived_with_its_reason_and_a_commit(archive: Archive, sandbox: Sandbox):
    records = Run(archive, sandbox, Scripted(HONEST, LEAKY, CRASHING, SAME), n=4).records
    statuses = [record.status for record in records]
    assert statuses == [Status.SCORED, Status.REJECTED, Status.FAILED, Status.DUPLICATE]
    assert [record.scorecard is not None for record in records] == [True, False, False, False]
    assert "causality" in records[1].reason
    assert "sixteen sequences" in records[2].reason
    assert BASELINE in records[3].reason
    log = git(archive.root, "log", "--format=%s")
    assert [line[:4] for line in log.splitlines()] == ["0004", "0003", "0002", "0001", "Gene"]
    assert list(problems(archive)) == []
    assert archive.record("1").cost.prompt_tokens == 3


def test_state_update_inherits_the_tasks_of_one_chunk(archive: Archive, sandbox: Sandbox):
    with ThreadPoolExecutor(1) as executor:
        specs = trial_specs(SMOKE, ["Memorize", "Selective Copy"])
        trials = Evaluator(SMOKE, sandbox, executor).evaluate(seed_variants()[BASELINE], specs).trials
    archive.tell_trials(trials)
    (record,) = Run(archive, sandbox, Scripted(HONEST), n=1, protocol=SMOKE).records
    inherited = {trial.task for trial in record.trials if trial.inherited_from == BASELINE}
    assert "Memorize" in inherited
    assert "Selective Copy" not in inherited
    verdict = next(verdict for verdict in record.verdicts if verdict.against == BASELINE)
    assert verdict.tasks["Memorize"].outcome == "inert"
    assert verdict.tasks["Memorize"].difference == 0


def test_a_change_that_never_acts_costs_two_trials_and_is_told_as_such(archive: Archive, sandbox: Sandbox):
    """The shipped trials of the parent may be of another processor, so that the parent is trained here, once."""
    proposer = Scripted(CAPPED, CAPPED.replace("25", "26"))
    records = Run(archive, sandbox, proposer, n=2, protocol=SMOKE).records
    for record in records:
        assert (record.status, record.no_effect) == (Status.SCORED, True)
        assert record.reason.startswith("NO EFFECT: trained on Context Recall seed 0, Compress seed 0,")
        trained = {trial.task for trial in record.trials if trial.inherited_from is None}
        assert trained == {"Compress", "Context Recall"}
    assert records[1].cost.cpu_seconds < records[0].cost.cpu_seconds or "again" not in records[0].reason
    assert "**NO EFFECT**" in archive.report(records[0])
    assert [line.no_effect for line in archive.lines()] == [True, True]
    assert list(problems(archive)) == []


def test_a_scale_of_the_output_alone_is_a_duplicate(archive: Archive, sandbox: Sandbox):
    (record,) = Run(archive, sandbox, Scripted(EIGHTFOLD), n=1).records
    assert record.status is Status.DUPLICATE
    assert record.reason.startswith(f"computes 8 times what {BASELINE} does: the mixer norms")
    assert record.check is not None
    assert record.check.multiple == pytest.approx(8)


def test_a_model_is_asked_while_others_train(archive: Archive, sandbox: Sandbox):
    """Two train at once; the third is asked for before either has ended, the fourth knows of one at least."""
    others = [HONEST.replace("0.97", rate) for rate in ("0.8", "0.7", "0.6")]
    proposer = ScriptedRepairer(HONEST, *others)
    records = Run(archive, sandbox, proposer, n=4, jobs=2).records
    assert [record.status for record in records] == [Status.SCORED] * 4
    assert [len(context.history) for context in proposer.contexts[:3]] == [0, 0, 0]
    assert proposer.contexts[3].history


def test_next_ask_knows_what_the_first_one_found(archive: Archive, sandbox: Sandbox):
    proposer = Scripted(HONEST, LEAKY)
    first, _ = Run(archive, sandbox, proposer, n=2, protocol=SMOKE).records
    assert list(proposer.contexts[0].history) == []
    assert [record.number for record in proposer.contexts[1].history] == [first.number]
    assert first.proposal.variant.name in proposer.contexts[1].standings


def test_rejected_proposal_goes_back_with_its_counterexample_and_both_are_kept(archive: Archive, sandbox: Sandbox):
    proposer = ScriptedRepairer(LEAKY, HONEST)
    records = Run(archive, sandbox, proposer, n=1).records
    assert [record.status for record in records] == [Status.REJECTED, Status.SCORED]
    assert "output at position" in proposer.problems[0]
    assert len({record.proposal.variant.name for record in records}) == 2


def test_repairs_are_limited(archive: Archive, sandbox: Sandbox):
    records = Run(archive, sandbox, ScriptedRepairer(LEAKY, LEAKY, LEAKY, HONEST), n=1).records
    assert [record.status for record in records] == [Status.REJECTED] * 3


def test_failed_ask_keeps_its_exchange_and_the_search_goes_on(archive: Archive, sandbox: Sandbox):
    run = Run(archive, sandbox, Scripted(AskFailed("no JSON in the reply", (EXCHANGE,)), HONEST), n=2)
    assert [record.status for record in run.records] == [Status.SCORED]
    (kept,) = (archive.root / "asks").iterdir()
    assert Exchange.model_validate_json(kept.read_text()) == EXCHANGE


def test_unusable_endpoint_ends_the_search_and_says_why(archive: Archive, sandbox: Sandbox):
    run = Run(archive, sandbox, Scripted(EndpointGoneError("401: wrong key"), HONEST), n=2)
    assert run.records == []
    assert str(run.search.error) == "401: wrong key"


def test_stop_archives_what_is_under_way_as_interrupted(archive: Archive, sandbox: Sandbox):
    proposer = Scripted(HONEST, HONEST)
    with ThreadPoolExecutor(1) as trials, Progress(Console(quiet=True), 2) as progress:
        search = Search(
            archive, SearchResources(proposer, sandbox, TINY, Engine(trials)), SearchPlan(2, 1, 0), progress
        )
        stopper = threading.Thread(target=stop_when_training, args=(search, progress))
        stopper.start()
        (record,) = search.run()
        stopper.join()
    assert record.status is Status.INTERRUPTED
    assert record.scorecard is None
    assert archive.ids() == [record.id]
    assert list(problems(archive)) == []


def test_an_interrupted_proposal_is_finished_by_the_next_search(archive: Archive, sandbox: Sandbox):
    resources = SearchResources(
        Scripted(HONEST), sandbox, TINY, Engine(ThreadPoolExecutor(1)), log=TrialLog(archive.unfinished)
    )
    with Progress(Console(quiet=True), 1) as progress:
        search = Search(archive, resources, SearchPlan(1, 1, 0), progress)
        stopper = threading.Thread(target=stop_when_training, args=(search, progress))
        stopper.start()
        (cut_off,) = search.run()
        stopper.join()
    assert interrupted_proposals(archive, TINY) == [cut_off.id]
    with Progress(Console(quiet=True), 0) as progress:
        (finished,) = Search(archive, resources, SearchPlan(0, 1, 0), progress).run()
    assert (finished.id, finished.status) == (cut_off.id, Status.SCORED)
    assert finished.predicted == cut_off.predicted
    assert interrupted_proposals(archive, TINY) == []
    assert archive.ids() == [finished.id]
    assert Archive(archive.root).record("1").scorecard == finished.scorecard
    assert git(archive.root, "log", "--format=%s").splitlines()[:2] == [
        f"{finished.id}: SCORED",
        f"{finished.id}: INTERRUPTED",
    ]
    assert list(problems(archive)) == []


def test_a_search_whose_engine_is_lost_ends_and_keeps_what_had_ended(archive: Archive, sandbox: Sandbox):
    ended: list[Trial] = []

    def lost_after_one(*arguments: Any) -> tuple[Trial, ...]:
        if ended:
            raise EngineLostError("the cluster is gone")
        ended.extend(run_group(*arguments))
        return tuple(ended)

    pool, log = ThreadPoolExecutor(1), TrialLog(archive.unfinished)
    resources = SearchResources(Scripted(HONEST), sandbox, TINY, Engine(pool, lost_after_one), log=log)
    with Progress(Console(quiet=True), 2) as progress:
        search = Search(archive, resources, SearchPlan(2, 1, 0), progress)
        (cut_off,) = search.run()
    assert (cut_off.status, cut_off.reason) == (Status.INTERRUPTED, "the cluster is gone")
    assert str(search.error) == "--engine: the cluster is gone"
    with Progress(Console(quiet=True), 0) as progress:
        again = replace(resources, engine=Engine(pool))
        (finished,) = Search(archive, again, SearchPlan(0, 1, 0), progress).run()
    assert (finished.id, finished.status) == (cut_off.id, Status.SCORED)
    assert ended[0] in finished.trials


def stop_when_training(search: Search, progress: Progress) -> None:
    wait_until(lambda: progress.stage(0) == "training", "the training of the first proposal")
    search.stop()


def test_a_change_outside_the_loop_is_rejected(archive: Archive, sandbox: Sandbox):
    outside = HONEST.replace("q = q * Dk**-0.5", "q = q * Dk**-0.25")
    carried = HONEST.replace("    for i in", "    M = torch.zeros_like(S)\n    for i in")
    records = Run(archive, sandbox, Scripted(outside, carried), n=2).records
    assert [record.status for record in records] == [Status.REJECTED, Status.SCORED]
    assert "scope: differs from delta_net_4layer outside the for-loop" in records[0].reason
    report = records[1].check
    assert report is not None
    assert [finding.status for finding in report.findings if finding.check == "scope"] == ["pass"]
