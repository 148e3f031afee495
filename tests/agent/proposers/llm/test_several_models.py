"""Several models in one search: who is asked, what becomes of one that fails, and what each is told of itself."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.cli import run
from agent.listener import Listener, heard_by
from agent.proposer import Ask, AskFailed, Repairer
from agent.proposers.llm.bookkeeping.spending import SpendingLimit
from agent.proposers.llm.configuration.options import one_by_one, read_options
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.deduplication import Claims
from agent.proposers.llm.errors import BudgetExceededError, EndpointError, PassingError
from agent.proposers.llm.exchanges import last_conversation
from agent.proposers.llm.model_choice import FLOOR, Try, choose, improves, tries_of, value_of
from agent.proposers.llm.proposer import OpenAIProposer
from agent.proposers.llm.several_models import SeveralModels
from agent.proposers.open_proposer import Choice, open_proposer
from archive.records.record import Cost, Record
from archive.seeding import make_archive
from archive.store import Archive
from evaluator.outcomes import Status, Verdict
from tests.builders import make_comparison, make_score, make_scorecard, make_verdict
from variants.contract import BASELINE, short_name

pytestmark = pytest.mark.slow
Settings = Callable[..., LLMSettings]
Contexts = Callable[..., ArchiveSnapshot]
Reply = Callable[[str], str]


def spread(tries: list[Try], models: tuple[str, ...] = ("a", "b"), asks: int = 400) -> Counter[str]:
    """How often each is chosen, one ask after the other, nothing new being learnt."""
    asked = Counter(found.model for found in tries)
    chosen: Counter[str] = Counter()
    for seed in range(asks):
        model = choose(models, tries, asked, seed)
        chosen[model] += 1
        asked[model] += 1
    return chosen


def tries(model: str, improved: int, of: int, **cost: Any) -> list[Try]:
    return [Try(model, improved=number < improved, **({"seconds": 100.0} | cost)) for number in range(of)]


def test_whoever_improves_more_is_asked_more_and_the_other_keeps_its_floor() -> None:
    chosen = spread(tries("a", 12, 30) + tries("b", 0, 30))
    assert chosen["a"] > chosen["b"]
    assert 30 + chosen["b"] == pytest.approx(FLOOR * 460, abs=1), "a floor for each, of all that was ever asked"


def test_as_good_and_cheaper_is_asked_more() -> None:
    by_time = spread(tries("a", 10, 30, seconds=60.0) + tries("b", 10, 30, seconds=600.0))
    assert by_time["a"] > 3 * by_time["b"]
    paid = {"cpu_seconds": 100.0, "seconds": 100.0}
    by_money = spread(tries("a", 10, 30, usd=0.01, **paid) + tries("b", 10, 30, usd=0.5, **paid))
    assert by_money["a"] > 3 * by_money["b"]


def test_a_model_ten_times_as_dear_that_is_twenty_times_as_good_is_asked_more() -> None:
    chosen = spread(tries("a", 1, 60, usd=0.1) + tries("b", 40, 60, usd=1.0))
    assert chosen["b"] > chosen["a"]


def test_every_model_is_tried_and_a_new_one_comes_first() -> None:
    assert {choose(("a", "b", "c"), [], Counter(first), 0) for first in ("", "a", "ab", "bc")} == {"a", "b", "c"}
    assert choose(("a", "b"), tries("a", 30, 30), Counter(a=30), seed=1) == "b"


def test_the_floor_holds_for_many_models() -> None:
    models = tuple("abcdefghij")
    chosen = spread([made for model in models for made in tries(model, 20 if model == "a" else 0, 20)], models, 1000)
    assert all(chosen[model] / 1000 >= 0.5 / 10 * 0.7 for model in models)
    assert chosen["a"] == max(chosen.values())


def test_costs_are_money_where_all_is_priced_and_time_where_it_is_not() -> None:
    free = tries("a", 0, 1, usd=0.0, cpu_seconds=3600.0)
    assert value_of(["a"], free)["a"].cost == pytest.approx(0.05), "beside a free model, training is not free"
    unknown = value_of(["a", "b"], free + tries("b", 0, 1, usd=None, seconds=300.0))
    assert unknown["b"].cost == pytest.approx((300 + 200) / 2), "in seconds; one try at the mean of all counts for each"


def verdict(n: int = 3, **outcomes: float) -> Verdict:
    """Against the baseline; outcomes: the difference on a task, with the outcome in the task's first word."""
    names = {"better": "Memorize", "worse": "Compress", "indistinguishable": "Noisy Recall", "inert": "Fuzzy Recall"}
    return make_verdict({names[each]: make_comparison(each, value, n=n) for each, value in outcomes.items()})


@pytest.mark.parametrize(
    ("status", "found", "improved"),
    [
        (Status.SCORED, verdict(better=0.1, indistinguishable=-0.01), True),
        (Status.SCORED, verdict(better=0.1, worse=-0.05), False),
        (Status.SCORED, verdict(indistinguishable=0.05), False),
        (Status.SCORED, verdict(n=1, indistinguishable=0.05), True),
        (Status.SCORED, verdict(n=1, indistinguishable=-0.05, inert=0.0), False),
        (Status.REJECTED, None, False),
        (Status.PRUNED, None, False),
    ],
)
def test_an_improvement_is_better_on_a_task_and_worse_on_none(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply, record: Callable[..., Record],
    status: Status, found: Verdict | None, improved: bool,
) -> None:  # fmt: skip
    faults.script = [faults.says(reply("correct"))]
    became = {"status": status, "verdicts": (found,) if found else ()}
    made = record(OpenAIProposer(settings()).ask(snapshot())).model_copy(update=became)
    assert improves(made) is improved
    (known,) = tries_of([made.model_copy(update={"cost": Cost(wall_seconds=9, usd=0.5)})], "quick")
    assert known == Try("scripted", improved, seconds=9, usd=0.5)
    assert tries_of([made], "smoke") == [], "of another protocol"
    assert tries_of([made.model_copy(update={"status": Status.INTERRUPTED})], "quick") == []


class Models:
    """Scripts by model at one fault server."""

    def __init__(self, faults: Any, **scripts: list[Any]) -> None:
        self.scripts = scripts
        faults.script = [self]
        faults.models = list(scripts)

    def __call__(self, handler: Any) -> None:
        script = self.scripts[handler.asked["model"]]
        answer = script.pop(0) if len(script) > 1 else script[0]
        answer(handler)


@pytest.fixture
def several(settings: Settings) -> Callable[..., SeveralModels]:
    """A proposer of the models a and b of the fault server."""

    def make(*names: str, clock: Callable[[], float] = lambda: 0.0, **options: Any) -> SeveralModels:
        own = [settings(model=name, **options) for name in names or ("a", "b")]
        claims, budget = Claims(), SpendingLimit(own[0].max_usd)
        return SeveralModels([OpenAIProposer(each, claims, budget) for each in own], clock=clock)

    return make


def variant_of(text: str, number: int) -> str:
    """The same reply, with other code."""
    found = json.loads(text)
    return json.dumps(found | {"name": f"idea {number}", "code": found["code"] + f"\n\nUNUSED_{number} = {number}\n"})


def test_a_model_that_fails_is_rested_and_the_ask_goes_to_the_next(
    faults: Any, several: Callable[..., SeveralModels], snapshot: Contexts, reply: Reply
) -> None:
    good = [faults.says(variant_of(reply("correct"), number)) for number in range(9)]
    Models(faults, a=[faults.status(500, "a is broken")], b=good)
    proposer, said = several(), list[str]()
    assert isinstance(proposer, Repairer)
    with heard_by(Listener(announce=said.append)):
        asks = [proposer.ask(snapshot(seed=seed)) for seed in range(3)]
    assert [ask.proposal.provenance.model for ask in asks] == ["b"] * 3
    assert [request["model"] for request in faults.requests] == ["a"] * 3 + ["b"] * 3, "it is not asked again at once"
    assert len(said) == 1
    assert said[0].startswith("a rests for 60 s: ")
    first = asks[0].exchanges
    assert [exchange.attempt for exchange in first] == [1, 2, 3, 4], "what failed is recorded with what came of it"
    assert [exchange.reply is not None for exchange in first] == [False, False, False, True]
    conversation, exchange = last_conversation(first) or (None, None)
    assert conversation is not None
    assert exchange == first[-1]
    assert asks[0].usd is None


def test_a_rested_model_is_asked_again_after_its_rest(
    faults: Any, several: Callable[..., SeveralModels], snapshot: Contexts, reply: Reply
) -> None:
    good = [faults.says(variant_of(reply("correct"), number)) for number in range(9)]
    Models(faults, a=[faults.status(500)] * 3 + good[:1], b=good[1:])
    now = [0.0]
    proposer = several(clock=lambda: now[0])
    proposer.ask(snapshot(seed=0))
    now[0] = 59
    assert proposer.ask(snapshot(seed=1)).proposal.provenance.model == "b"
    now[0] = 61
    assert proposer.ask(snapshot(seed=2)).proposal.provenance.model == "a", "it is behind its floor"


def test_a_model_that_cannot_work_is_not_asked_again_and_all_of_them_end_the_search(
    faults: Any, several: Callable[..., SeveralModels], snapshot: Contexts, reply: Reply
) -> None:
    Models(
        faults, a=[faults.status(404, "no model a")], b=[faults.says(reply("correct")), faults.status(401, "no key")]
    )
    now = [0.0]
    proposer = several(clock=lambda: now[0])
    assert proposer.ask(snapshot()).proposal.provenance.model == "b"
    now[0] = 1e9
    for _ in range(2):
        with pytest.raises(EndpointError, match=r"no model can be asked: a: .*no model a.*; b: .*no key") as caught:
            proposer.ask(snapshot(seed=1))
        assert not caught.value.passing
    assert [request["model"] for request in faults.requests] == ["a", "b", "b"]


def test_models_that_may_come_back_do_not_end_the_search(
    faults: Any, several: Callable[..., SeveralModels], snapshot: Contexts
) -> None:
    Models(faults, a=[faults.status(404, "no model a")], b=[faults.status(500)])
    with pytest.raises(PassingError, match="no model can be asked"):
        several().ask(snapshot())


def test_a_busy_model_is_not_waited_for_while_another_is_free(
    faults: Any, several: Callable[..., SeveralModels], snapshot: Contexts, reply: Reply
) -> None:
    good = [faults.says(variant_of(reply("correct"), number)) for number in range(3)]
    Models(faults, a=[faults.status(429, Retry_After="80")], b=good)
    proposer = several()
    assert [proposer.ask(snapshot(seed=seed)).proposal.provenance.model for seed in range(2)] == ["b", "b"]
    assert [request["model"] for request in faults.requests] == ["a", "b", "b"]


def test_a_useless_reply_fails_its_ask_and_rests_nobody(
    faults: Any, several: Callable[..., SeveralModels], snapshot: Contexts, reply: Reply
) -> None:
    Models(faults, a=[faults.says(reply("wrong_schema"))], b=[faults.says(reply("correct"))])
    proposer = several()
    with pytest.raises(AskFailed, match="a gave no usable reply") as caught:
        proposer.ask(snapshot())
    assert not isinstance(caught.value, EndpointError)
    assert proposer.ask(snapshot(seed=1)).proposal.provenance.model == "b"
    asked = Counter(choose_of(proposer, snapshot, seed) for seed in range(60))
    assert asked["a"] > 0


def choose_of(proposer: SeveralModels, snapshot: Contexts, seed: int) -> str | None:
    return proposer._choose(snapshot(seed=seed), ())


def test_the_model_that_proposed_repairs(
    faults: Any, several: Callable[..., SeveralModels], snapshot: Contexts, reply: Reply
) -> None:
    Models(
        faults,
        a=[faults.says(reply("leaky")), faults.says(reply("correct")), faults.status(404, "gone")],
        b=[faults.says(variant_of(reply("correct"), 1))],
    )
    proposer = several()
    first = proposer.ask(snapshot())
    second = proposer.repair(snapshot(), first, "causality: output at 3 changes when 7 does")
    assert [ask.proposal.provenance.model for ask in (first, second)] == ["a", "a"]
    with pytest.raises(AskFailed, match="a does not repair its proposal") as caught:
        proposer.repair(snapshot(), first, "causality")
    assert not isinstance(caught.value, EndpointError), "b can go on"
    assert proposer.ask(snapshot(seed=5)).proposal.provenance.model == "b"


def test_the_limit_on_spending_is_that_of_all_together(
    faults: Any, several: Callable[..., SeveralModels], snapshot: Contexts, reply: Reply, tmp_path: Path
) -> None:
    (tmp_path / "prices.toml").write_text("[models.a]\ninput = 1\noutput = 1\n[models.b]\ninput = 1\noutput = 1\n")
    Models(faults, **{name: [faults.says(variant_of(reply("correct"), ord(name)), cost=0.03)] for name in "ab"})
    proposer = several(prices=tmp_path / "prices.toml", max_usd=0.07)
    proposer.ask(snapshot(seed=0))
    proposer.ask(snapshot(seed=1))
    with pytest.raises(BudgetExceededError):
        proposer.ask(snapshot(seed=2))
    assert len(faults.requests) == 2


def test_each_model_is_told_of_its_own_predictions_only(
    faults: Any, several: Callable[..., SeveralModels], snapshot: Contexts, reply: Reply, record: Callable[..., Record]
) -> None:
    good = [faults.says(variant_of(reply("correct"), number)) for number in range(4)]
    Models(faults, a=good[:2], b=good[2:])
    proposer = several()
    first: Ask = proposer.ask(snapshot(seed=0))
    assert first.proposal.provenance.model == "a"
    scored = record(
        first,
        status=Status.SCORED,
        verdicts=(verdict(better=0.1, worse=-0.1),),
        trials=(),
        scorecard=make_scorecard({task: make_score(0.5, half=0.1) for task in ("Memorize", "Compress")}),
    )
    for model in "ab":
        proposer._arms[model].ask(snapshot(seed=1, history=(scored,)))
    a_told, b_told = (request["messages"][1]["content"] for request in faults.requests[1:])
    assert "Of your 2 predictions so far" in a_told
    assert "predictions so far" not in b_told
    assert f"`{short_name(first.proposal.variant.name)}`" in b_told, "what was tried, all are told"


def test_models_and_commands_are_named_several_times_and_in_a_file(tmp_path: Path) -> None:
    given = {"model": ["a", "b", "a"], "command": ["llm"], "form": "code"}
    assert one_by_one(given) == [
        {"form": "code", "model": "a"},
        {"form": "code", "model": "b"},
        {"form": "code", "command": "llm"},
    ]
    assert one_by_one({"form": "code"}) == [{"form": "code"}]
    (tmp_path / "llm.toml").write_text('model = ["a", "b"]\ncommand = "llm -m c"\n')
    assert len(one_by_one(read_options(tmp_path / "llm.toml"))) == 3
    archive = make_archive(tmp_path / "archive")
    chosen = Choice("auto", None, 1, {"model": ["x"], "command": None}, tmp_path / "llm.toml").settings(archive)
    assert one_by_one(chosen)[0]["model"] == "x"
    assert "command" not in chosen, "who names models on the command line means those"
    (tmp_path / "llm.toml").write_text("model = 3\n")
    with pytest.raises(EndpointError, match=r"llm\.toml: model: a name is expected"):
        read_options(tmp_path / "llm.toml")


def where(tmp_path: Path, faults: Any) -> list[str]:
    """Options of a search in a folder of the test's own, with the fake endpoint."""
    place = ["--archive", str(tmp_path / "archive"), "--base-url", faults.url]
    return [*place, "--protocol", "smoke", "--json", "--quiet"]


@pytest.mark.usefixtures("lent_sandbox")
def test_failed_asks_of_earlier_searches_count(
    faults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Reply
) -> None:
    """A model that never gave a proposal has no records, and is not new."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789-secret")
    Models(faults, a=[faults.says("I would rather not")], b=[faults.says(reply("correct"))])
    assert run(["propose", "--n", "1", "--model", "a", *where(tmp_path, faults)]) == 1
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789-secret")
    choice = Choice("auto", None, 1, {"model": ["a", "b"], "base_url": faults.url})
    with open_proposer(choice, Archive(tmp_path / "archive")) as (proposer, who):
        assert isinstance(proposer, SeveralModels)
        assert who == f"openai (2 models: a at {faults.url}, b at {faults.url})"
        assert [found.model for found in proposer._failed] == ["a"]
        assert proposer._failed[0].seconds > 0


@pytest.mark.usefixtures("tiny_smoke", "lent_sandbox")
def test_propose_asks_two_models_in_one_search(
    faults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Reply, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789-secret")
    Models(faults, a=[faults.says(reply("correct"))], b=[faults.says(reply("hostile"))])
    options = ["--n", "2", "--jobs", "1", "--repairs", "0", "--parent", BASELINE, "--model", "a", "--model", "b"]
    assert run(["propose", *options, *where(tmp_path, faults)]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    records = Archive(tmp_path / "archive").records()
    assert {record.proposal.provenance.model: str(record.status) for record in records} == {
        "a": "SCORED", "b": "REJECTED",
    }  # fmt: skip
