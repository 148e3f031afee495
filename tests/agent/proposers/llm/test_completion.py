"""Where endpoints put an answer, and how they say that there is none; as bodies of their completions."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.proposer import AskFailed
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.completion import MOST_CHOICES, completion_of, error_in, has_answer
from agent.proposers.llm.proposer import OpenAIProposer

Settings = Callable[..., LLMSettings]
Contexts = Callable[..., ArchiveSnapshot]
Reply = Callable[[str], str]

ANSWER = '{"title": "a mechanism"}'
DRAFT = 'First {"title": "a draft"}, but better: '
THOUGHTS = "The state forgets too fast."


def body(message: Any = None, finish: str | None = "stop", **choice: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish, **choice}], "usage": {}}


def call(arguments: Any) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": "proposal", "arguments": arguments}}


def places(answer: str) -> dict[str, dict[str, Any]]:
    """Completions with the answer where one endpoint or another puts it."""
    as_object = json.loads(answer)
    return {
        "content": body({"content": answer}),
        "content beside reasoning": body({"content": answer, "reasoning_content": THOUGHTS}),
        "reasoning_content, content null": body({"content": None, "reasoning_content": answer}),
        "reasoning_content, content blank": body({"content": "\n\n", "reasoning_content": answer}),
        "reasoning, content missing": body({"role": "assistant", "reasoning": answer}),
        "thinking": body({"content": "", "thinking": answer}),
        "reasoning_details": body({"content": "", "reasoning_details": [{"type": "reasoning.text", "text": answer}]}),
        "parts of type text": body(
            {"content": [{"type": "text", "text": answer[:9]}, {"type": "text", "text": answer[9:]}]}
        ),
        "a part of type output_text": body({"content": [{"type": "output_text", "text": answer, "annotations": []}]}),
        "parts as strings": body({"content": [answer]}),
        "a part without a type": body({"content": [{"text": answer}]}),
        "a part with a value": body({"content": [{"type": "text", "text": {"value": answer, "annotations": []}}]}),
        "one part in place of a list": body({"content": {"type": "text", "text": answer}}),
        "parts, the first of them thinking": body(
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHTS}]},
                    {"type": "text", "text": answer},
                ]
            }
        ),
        "a part of thinking alone": body(
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": answer}]}]}
        ),
        "the object itself as content": body({"content": as_object}),
        "a part with JSON": body({"content": [{"type": "json", "json": as_object}]}),
        "a call of a tool": body({"content": None, "tool_calls": [call(answer)]}, "tool_calls"),
        "a call of a tool, arguments as an object": body({"content": "", "tool_calls": [call(as_object)]}),
        "a call of a tool without the inner object": body({"tool_calls": [{"name": "proposal", "arguments": answer}]}),
        "a custom tool": body({"tool_calls": [{"type": "custom", "custom": {"name": "proposal", "input": answer}}]}),
        "a call of a function": body({"content": None, "function_call": {"name": "p", "arguments": answer}}),
        "a part that is a call": body({"content": [{"type": "tool_use", "name": "p", "input": as_object}]}),
        "a call before reasoning": body({"content": None, "reasoning": DRAFT, "tool_calls": [call(answer)]}),
        "the older completions": {"choices": [{"index": 0, "text": answer, "finish_reason": "stop"}]},
        "a delta": {"choices": [{"index": 0, "delta": {"content": answer}, "finish_reason": "stop"}]},
        "the second choice": {"choices": [{"message": {"content": ""}}, {"message": {"tool_calls": [call(answer)]}}]},
    }


PLACES = tuple(places("{}"))


@pytest.mark.parametrize("place", PLACES)
def test_an_answer_is_found_wherever_it_stands(place: str) -> None:
    said = places(ANSWER)[place]
    assert completion_of(said).text == ANSWER
    assert has_answer(said)
    assert error_in(said) is None


@pytest.mark.parametrize(
    "place", ["content", "reasoning_content, content null", "a part with JSON", "a call of a tool"]
)
@pytest.mark.slow
def test_a_proposal_is_made_of_an_answer_wherever_it_stands(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply, place: str
) -> None:
    """The test before has the text of every place; here it goes on from one of each kind."""
    faults.script = [lambda handler: handler.send(200, json.dumps(places(reply("correct"))[place]))]
    ask = OpenAIProposer(settings()).ask(snapshot())
    assert ask.proposal.variant.source == json.loads(reply("correct"))["code"]
    assert len(ask.exchanges) == 1


def test_what_is_said_beside_a_call_is_kept_before_it() -> None:
    said = completion_of(body({"content": "```python\nx = 1\n```", "tool_calls": [call(ANSWER)]})).text
    assert said == f"```python\nx = 1\n```\n\n{ANSWER}"


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "model_length"])
def test_reasoning_that_was_cut_off_is_no_answer(reason: str) -> None:
    said = completion_of(body({"content": None, "reasoning_content": DRAFT}, reason))
    assert (said.text, said.finish) == ("", "length")


@pytest.mark.parametrize(
    ("completion", "withheld"),
    [
        (body({"content": None, "refusal": "I will not\ndo that."}), "the model refuses: I will not do that."),
        (body({"content": [{"type": "refusal", "refusal": "No."}]}), "the model refuses: No."),
        (body({"content": ""}, "refusal"), "the model refuses and does not say why"),
        (body({"content": ""}, "content_filter"), "a content filter of the endpoint withheld it (content_filter)"),
        (body(None, "SAFETY"), "a content filter of the endpoint withheld it (SAFETY)"),
        (body({}, "content_filter: RECITATION"), "withheld it (content_filter: RECITATION)"),
        (
            body(
                {"content": None},
                "content_filter",
                content_filter_results={"violence": {"filtered": True}, "hate": {"filtered": False}},
            ),
            "withheld it (violence)",
        ),
        (
            {
                "choices": [],
                "prompt_filter_results": [
                    {"content_filter_results": {"jailbreak": {"detected": True, "filtered": True}}}
                ],
            },
            "withheld it (jailbreak)",
        ),
        (
            body({"content": ""}, "error", error={"code": 403, "message": "flagged: harassment"}),
            "the endpoint reports an error in place of the reply: flagged: harassment",
        ),
        (body({"content": None, "reasoning": DRAFT, "refusal": "No."}), "the model refuses: No."),
        (body({"content": None, "reasoning": DRAFT}, "content_filter"), "a content filter of the endpoint withheld it"),
    ],
)
def test_what_withheld_an_answer_is_named(completion: dict[str, Any], withheld: str) -> None:
    said = completion_of(completion)
    assert said.text == ""
    assert withheld in said.withheld
    assert has_answer(completion)


@pytest.mark.parametrize(
    ("completion", "error"),
    [
        ({"error": {"message": "upstream is gone"}}, "upstream is gone"),
        (
            body({"content": ""}, "error", error={"code": 502, "message": "Provider returned error"}),
            "Provider returned",
        ),
        (body({"content": '{"tit'}, "error", error={"code": 429, "message": "slow down"}), "slow down"),
        (body({"content": ""}, None, error="out of memory"), "out of memory"),
        (body({"content": ""}, "error"), "ended the reply with an error"),
    ],
)
def test_an_error_in_a_200_is_found(completion: dict[str, Any], error: str) -> None:
    assert error in str(error_in(completion))


@pytest.mark.parametrize("nothing", [{}, {"choices": []}, {"choices": None}, {"choices": ["x"]}, body(None), body({})])
def test_a_completion_without_any_message_is_none(nothing: dict[str, Any]) -> None:
    assert not has_answer(nothing)
    assert completion_of(nothing).text == ""


def test_of_endless_choices_the_first_are_looked_at() -> None:
    choices = [{}] * (MOST_CHOICES - 1)
    answer = body("fine")["choices"]
    assert completion_of({"choices": [*choices, *answer]}).text == "fine"
    assert not has_answer({"choices": [*choices, {}, *answer]})


@pytest.mark.parametrize(
    "junk", [3, [3], {"type": 3}, {"type": []}, [[[[[["x"]]]]]], {"text": {"text": {"text": {"text": {}}}}}]
)
def test_content_of_no_known_form_raises_nothing(junk: Any) -> None:
    for message in ({"content": junk}, {"reasoning": junk}, {"tool_calls": junk}, {"refusal": junk}, junk):
        assert isinstance(completion_of(body(message, error=junk)).text, str)


def test_an_error_inside_a_choice_is_tried_again(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    failed = body({"content": ""}, "error", error={"code": 502, "message": "Provider returned error"})
    faults.script = [lambda handler: handler.send(200, json.dumps(failed)), faults.says(reply("correct"))]
    ask = OpenAIProposer(settings()).ask(snapshot())
    assert ask.proposal.parent
    assert "502: Provider returned error" in str(ask.exchanges[0].error)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (body({"content": None}, "content_filter"), "a content filter of the endpoint withheld it"),
        (body({"content": None, "refusal": "I do not write kernels."}), "the model refuses: I do not write kernels."),
        (body({"content": "I'm sorry, but I can't help with that."}), "the model refuses: I'm sorry, but"),
        (body({"content": '{"insights": ["a'}, "content_filter"), "a content filter of the endpoint cut it off"),
        (body({"content": None, "reasoning": DRAFT}, "length"), "the limit on its length was reached before any text"),
        (body({"content": ""}), "it is empty"),
    ],
)
def test_an_ask_without_an_answer_says_why(
    faults: Any, settings: Settings, snapshot: Contexts, said: dict[str, Any], problem: str
) -> None:
    faults.script = [lambda handler: handler.send(200, json.dumps(said))]
    with pytest.raises(AskFailed) as failed:
        OpenAIProposer(settings()).ask(snapshot())
    assert problem in str(failed.value)
    assert problem in faults.requests[1]["messages"][-1]["content"]


def test_a_proposal_in_a_call_is_archived_as_its_arguments(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    said = body({"content": None, "tool_calls": [call(reply("correct"))]}, "tool_calls")
    faults.script = [lambda handler: handler.send(200, json.dumps(said))]
    ask = OpenAIProposer(settings()).ask(snapshot())
    assert ask.proposal.variant.source == json.loads(reply("correct"))["code"]
    assert ask.exchanges[0].reply == reply("correct")
