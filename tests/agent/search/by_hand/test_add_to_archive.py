"""What `evaluate --add` does with a proposal by hand that was scored under a smaller protocol before."""

from collections.abc import Sequence
from pathlib import Path

from agent.search.by_hand.add_to_archive import add_by_hand
from agent.search.by_hand.evaluate_variant import VariantRequest, VariantResult
from agent.search.pipeline import Evaluated
from archive.seeding import make_archive
from archive.store import Archive
from archive.verify import problems
from evaluator.outcomes import Status
from evaluator.protocols.built_in import QUICK, SMOKE, STANDARD
from evaluator.protocols.protocol import Protocol, trial_specs
from evaluator.statistics.scorecards import scorecard
from evaluator.tasks.names import TaskName
from tests.builders import SOURCE, make_archive_of, make_check, make_trial, make_variant
from variants.contract import BASELINE, Variant
from variants.seeds import seed_variants

IDEA = Variant(name="my_idea", source=seed_variants()[BASELINE].source + "# mine\n")


def result(
    archive: Archive, protocol: Protocol, accuracy: float, tasks: Sequence[TaskName] | None = None, idea: Variant = IDEA
) -> VariantResult:
    request = VariantRequest.of(idea, protocol, tasks or tuple(protocol.tasks), None, None, archive)
    trials = tuple(
        make_trial(idea, protocol=protocol, accuracy=accuracy, **spec.model_dump())
        for spec in trial_specs(protocol, tasks)
    )
    evaluated = Evaluated(Status.SCORED, "", make_check(name=idea.name), trials, scorecard(trials))
    return VariantResult(request, evaluated, 1.0)


def add(archive: Archive, protocol: Protocol, accuracy: float, tasks: Sequence[TaskName] | None = None) -> str:
    return add_by_hand(archive, result(archive, protocol, accuracy, tasks))


def test_it_is_told_under_the_larger_protocol(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive")
    assert "archived as proposal 1" in add(archive, SMOKE, 0.2)
    assert "is now told under quick" in add(archive, QUICK, 0.9)
    (line,) = archive.lines()
    assert (line.protocol, line.status) == ("quick", Status.SCORED)
    assert archive.record("1").scorecard.scores["Memorize"].mean == 0.9  # type: ignore[union-attr]
    assert {trial.accuracy for trial in archive.trials("smoke")["my_idea"]} == {0.2}, "the smaller one is kept"
    assert {trial.accuracy for trial in archive.trials("quick")["my_idea"]} == {0.9}
    assert list(problems(Archive(archive.root))) == []


def test_not_for_some_of_its_tasks_and_never_downwards(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive")
    add(archive, QUICK, 0.9)
    assert "added 6 trials" in add(archive, SMOKE, 0.2)
    assert archive.record("1").protocol == "quick"
    other = make_archive(tmp_path / "other")
    add(other, SMOKE, 0.2)
    assert "added 3 trials" in add(other, QUICK, 0.9, ("Memorize",))
    assert other.record("1").protocol == "smoke"


def test_what_another_archer_added_meanwhile_is_not_added_again(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive")
    both = [result(archive, SMOKE, 0.2) for _ in range(2)]
    said = [add_by_hand(Archive(archive.root), each) for each in both]
    assert "archived as proposal 1" in said[0]
    assert "has all of these trials" in said[1]
    assert [line.name for line in archive.lines()] == ["my_idea"]
    assert archive.further_trials("smoke").get("my_idea", ()) == ()


def test_what_another_archer_told_meanwhile_under_a_larger_protocol_stays(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "archive")
    add(archive, SMOKE, 0.2)
    assert archive.record("my_idea").protocol == "smoke", "as whoever looks for its parent before the training"
    under_quick = result(archive, QUICK, 0.9)
    assert "is now told under standard" in add(Archive(archive.root), STANDARD, 0.8)
    assert "added 18 trials" in add_by_hand(archive, under_quick)
    assert archive.record("my_idea").protocol == "standard"
    assert {trial.accuracy for trial in archive.trials("standard")["my_idea"]} == {0.8}


def test_a_variant_whose_name_is_short_for_another_grows_no_proposal_of_that(tmp_path: Path) -> None:
    short, long = (make_variant(name, f"{SOURCE}# {name}\n") for name in ("idea", "delta_net_4layer_idea_in_for_loop"))
    archive = make_archive_of(tmp_path / "archive", [seed_variants()[BASELINE], short])
    assert "archived as proposal 1" in add_by_hand(archive, result(archive, SMOKE, 0.2, idea=long))
    assert "added 18 trials of idea" in add_by_hand(archive, result(archive, STANDARD, 0.9, idea=short))
    assert archive.ids() == ["0001-delta_net_4layer_idea_in_for_loop"]
    assert list(problems(Archive(archive.root))) == []
