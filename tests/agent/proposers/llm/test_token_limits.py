"""Prompt and reply follow what the endpoint takes: by its list of models, by its refusals, once and for all."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from agent.analysis.snapshot import ArchiveSnapshot
from agent.proposers.llm.configuration.settings import LLMSettings
from agent.proposers.llm.endpoint.client import Endpoint, HttpAttempt, Request
from agent.proposers.llm.endpoint.stated_limits import is_overflow, read_model_card, read_refusal
from agent.proposers.llm.endpoint.token_limits import TokenLimits
from agent.proposers.llm.errors import EndpointError, PromptTooLongError
from agent.proposers.llm.proposer import OpenAIProposer
from agent.proposers.llm.tokens import estimate_tokens

Settings = Callable[..., LLMSettings]
Contexts = Callable[..., ArchiveSnapshot]
Reply = Callable[[str], str]

# As servers and gateways word it, and (window, reply, prompt, length of the prompt as counted)
REFUSALS = [
    ("This model's maximum context length is 4097 tokens. However, you requested 5000 tokens (1000 in the messages, "
     "4000 in the completion). Please reduce the length of the messages or completion.", (4097, None, None, 1000)),
    ("'max_tokens' or 'max_completion_tokens' is too large: 16000. This model's maximum context length is 8192 tokens "
     "and your request has 4500 input tokens (16000 > 8192 - 4500).", (8192, None, None, 4500)),
    ("This model's maximum context length is 8192 tokens. However, you requested 16000 output tokens and your prompt "
     "contains at least 193 input tokens, for a total of at least 8193 tokens.", (8192, None, None, None)),
    ("The decoder prompt (length 9000) is longer than the maximum model length of 8192.", (8192, None, None, 9000)),
    ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
     (4096, None, None, 5000)),
    ('{"message": "the request exceeds the available context size", "n_prompt_tokens": 5000, "n_ctx": 4096}',
     (4096, None, None, 5000)),
    ("max_tokens is too large: 16000. This model supports at most 4096 completion tokens, whereas you provided 16000.",
     (None, 4096, None, None)),
    ("`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less than the "
     "`context_window` for this model", (None, 8192, None, None)),
    ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 1000 `inputs` tokens and "
     "16000 `max_new_tokens`", (4096, None, None, 1000)),
    ("Input validation error: `inputs` must have less than 4096 tokens. Given: 5000", (None, None, 4095, None)),
    ("max_tokens: 16000 > 8192, which is the maximum allowed number of output tokens", (None, 8192, None, None)),
    ("prompt is too long: 210000 tokens > 200000 maximum", (None, None, 200000, 210000)),
    ("input length and `max_tokens` exceed context limit: 190000 + 16000 > 200000, decrease input length",
     (200000, None, None, 190000)),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", (None, 8192, None, None)),
    ("Range of max_tokens should be [1,512]", (None, 512, None, None)),
    ("Range of input length should be [1, 30720]", (None, None, 30720, None)),
    ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
     (32768, None, None, 40000)),
    ("Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total of 20000 "
     "tokens: 4000 tokens from the input messages and 16000 tokens for the completion.", (8192, None, None, 4000)),
    ("The input (9000 tokens) is longer than the model's context length (8192 tokens).", (8192, None, None, 9000)),
    ("too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.",
     (None, None, 4081, 5000)),
    ("The input token count (40000) exceeds the maximum number of tokens allowed (32768).", (None, None, 32768, 40000)),
    ("it has a maxOutputTokens value of 16000 but the supported range is from 1 (inclusive) to 8193 (exclusive).",
     (None, 8192, None, None)),
    ("The maximum tokens you requested exceeds the model limit of 4096.", (None, 4096, None, None)),
    ("The prompt is too long: 9000, model maximum context length: 8191", (8191, None, None, 9000)),
    ("Requests with max_tokens > 4096 must have stream=true", (None, 4096, None, None)),
    ("Trying to keep the first 4985 tokens. However, the model is loaded with context length of only 4096 tokens",
     (4096, None, None, None)),
    ("Please reduce the length of the messages. Current length is 9000 while limit is 8192", (8192, None, None, 9000)),
    ("This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
     (None, None, 131072, 537812)),
    ("This endpoint's maximum context length is 8,192 tokens. However, you requested about 20000 tokens (4000 of text "
     "input, 16000 in the output).", (8192, None, None, 4000)),
    ("Request too large for model `x` on tokens per minute: Limit 6000, Requested 20000", (6000, None, None, None)),
    ("Requested tokens (5000) exceed context window of 4096", (4096, None, None, None)),
    ('{"detail": [{"loc": ["body", "max_tokens"], "msg": "ensure this value is less than or equal to 4096"}]}',
     (None, 4096, None, None)),
    ("You requested up to 16000 tokens, but can only afford 1234.", (None, 1234, None, None)),
    ("max_tokens (16000) exceeds maximum output tokens of 8192", (None, 8192, None, None)),
    ("max_tokens=16000 exceeds the limit of 4096 for this model", (None, 4096, None, None)),
    ("maximum allowed max_tokens is 4096", (None, 4096, None, None)),
    ("The requested 16000 tokens exceed the model's 8192-token context window", (8192, None, None, None)),
    ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", (None, None, None, None)),
    ("max_tokens must be at least 1, got -500", (None, None, None, None)),
    ("context_length_exceeded", (None, None, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("said", "stated"), REFUSALS, ids=[said[:40] for said, _ in REFUSALS])
def test_limits_are_read_in_every_wording(said: str, stated: tuple[int | None, ...]) -> None:
    found = read_refusal(said)
    assert (found.window, found.reply, found.prompt, found.counted) == stated


@pytest.mark.parametrize(
    ("card", "window", "reply"),
    [
        ({"id": "m", "max_model_len": 8192}, 8192, None),
        ({"id": "m", "context_length": 32768, "top_provider": {"max_completion_tokens": 4096}}, 32768, 4096),
        ({"id": "m", "context_window": 131072, "max_completion_tokens": 8192}, 131072, 8192),
        ({"id": "m", "meta": {"n_ctx": 4096, "n_ctx_train": 131072, "n_params": 1}}, 4096, None),
        ({"id": "m", "max_context_length": 131072, "loaded_context_length": 4096}, 4096, None),
        ({"id": "m", "capabilities": {"limits": {"max_context_window_tokens": 64000, "max_output_tokens": 4096}}},
         64000, 4096),
        ({"id": "m", "max_model_len": None, "created": 1700000000}, None, None),
        ({"id": "m"}, None, None),
    ],
)  # fmt: skip
def test_a_list_of_models_tells_lengths_under_many_names(
    card: dict[str, Any], window: int | None, reply: int | None
) -> None:
    found = read_model_card(card)
    assert (found.window, found.reply) == (window, reply)


class LimitedServer:
    """Takes what fits, as counted by its own tokenizer, and refuses the rest in the words of a real server."""

    def __init__(self, faults: Any, reply: str, window: int, words: str, ratio: float = 0.9) -> None:
        self.faults, self.reply, self.window, self.words, self.ratio = faults, reply, window, words, ratio
        self.refused = 0

    def __call__(self, handler: Any) -> None:
        asked = handler.asked
        prompt = int(self.ratio * estimate_tokens("\n".join(message["content"] for message in asked["messages"])))
        if prompt + asked["max_tokens"] <= self.window:
            self.faults.says(self.reply)(handler)
            return
        self.refused += 1
        words = self.words.format(window=self.window, prompt=prompt, reply=asked["max_tokens"])
        self.faults.status(400, words)(handler)


WORDS = {
    "with the prompt's length": "This model's maximum context length is {window} tokens. However, you requested "
    "{reply} tokens for the completion and {prompt} in the messages.",
    "without": "This model's maximum context length is {window} tokens. Please reduce the length of the messages.",
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("window", [4096, 8192, 16384, 32768])
@pytest.mark.parametrize("ratio", [0.75, 1.0])
@pytest.mark.slow
def test_prompt_and_reply_fit_after_one_refusal_and_from_then_on(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply, words: str, window: int, ratio: float
) -> None:
    server = LimitedServer(faults, reply("wrong_schema"), window, words, ratio)
    faults.script = [server]
    proposer = OpenAIProposer(settings(context_tokens=32_000, reply_tokens=32_000))
    for seed in range(2):
        with pytest.raises(Exception, match="no usable reply"):
            proposer.ask(snapshot(seed=seed))
    assert server.refused == 1
    assert all(request["max_tokens"] >= 1000 for request in faults.requests), "a reply needs room"


@pytest.mark.parametrize("card", [{"max_model_len": 8192}, {"context_length": 8192}])
def test_a_window_of_8k_works_by_default_and_without_a_refusal_where_it_is_listed(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply, card: dict[str, int]
) -> None:
    faults.card = card
    server = LimitedServer(faults, reply("correct"), 8192, WORDS["without"])
    faults.script = [server]
    ask = OpenAIProposer(settings()).ask(snapshot())
    assert server.refused == 0
    assert faults.requests[0]["max_tokens"] >= 4000, "half of a narrow window is the reply's"
    assert ask.proposal.predictions


def test_a_prompt_that_a_tokenizer_finds_longer_is_measured_by_it(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    server = LimitedServer(faults, reply("correct"), 8192, WORDS["with the prompt's length"], ratio=1.6)
    faults.script = [server]
    OpenAIProposer(settings()).ask(snapshot())
    assert server.refused == 1


def test_a_limit_on_the_reply_is_obeyed_and_remembered(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    refusal = "max_tokens is too large: 16000. This model supports at most 4096 completion tokens."
    faults.script = [faults.status(400, refusal), faults.says(reply("wrong_schema"))]
    with pytest.raises(Exception, match="no usable reply"):
        OpenAIProposer(settings()).ask(snapshot())
    assert [request["max_tokens"] for request in faults.requests] == [16000, 4096, 4096]
    assert all("response_format" in request for request in faults.requests), "nothing else is given up"
    prompts = [request["messages"][1]["content"] for request in faults.requests]
    assert prompts[0] == prompts[1]


def test_a_refusal_that_names_no_number_still_ends_in_a_reply(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    server = LimitedServer(faults, reply("correct"), 8192, "context_length_exceeded")
    faults.script = [server]
    OpenAIProposer(settings()).ask(snapshot())
    assert 1 <= server.refused <= 3


def test_a_wording_that_nobody_knows_is_read_by_its_numbers() -> None:
    limits = TokenLimits(32_000, 16_000, 1_000)
    assert limits.learn("max_tokens: got 16000, want something not exceeding 2048 here; too large", 5_000, 16_000)
    assert limits.reply_tokens(5_000) == 2048
    limits = TokenLimits(32_000, 16_000, 1_000)
    assert limits.learn("context length exceeded: 16000 and your text do not go into 6000", 5_000, 16_000)
    assert limits.window == 6000


def test_what_is_about_something_else_teaches_nothing() -> None:
    limits = TokenLimits(32_000, 16_000, 1_000)
    for said in ("seed must be less than 4294967296", "Unsupported parameter: 'max_tokens'", "invalid schema", ""):
        assert limits.learn(said, 5_000, 16_000) is None
    assert limits.reply_tokens(5_000) == 16_000


def test_the_limit_of_a_minute_is_a_limit_on_the_request(
    faults: Any, settings: Settings, snapshot: Contexts, reply: Reply
) -> None:
    """A 429 for which no wait helps: one request asks for more than a minute's allowance."""
    large = faults.status(429, "Request too large on tokens per minute (TPM): Limit 6000, Requested 21796")
    faults.script = [large, faults.says(reply("correct"))]
    OpenAIProposer(settings()).ask(snapshot())
    sizes = [estimate_tokens(json.dumps(r["messages"])) + r["max_tokens"] for r in faults.requests]
    assert sizes[1] < 6500 < sizes[0]


def test_credit_that_buys_a_shorter_reply_buys_that(faults: Any, settings: Settings) -> None:
    request = Request(({"role": "user", "content": "hello"},), {}, seed=0)

    def ask(left: int) -> HttpAttempt:
        words = f"This request requires more credits, or fewer max_tokens. You can only afford {left}."
        faults.script = [faults.status(402, words), faults.says("fine")]
        return Endpoint(settings()).complete(request, time.monotonic() + 60, lambda _: None)

    assert ask(3000).text == "fine"
    assert faults.requests[-1]["max_tokens"] == 3000
    with pytest.raises(EndpointError, match="used up"):
        ask(20)


def test_a_window_that_nothing_fits_is_said_before_anything_is_sent(
    faults: Any, settings: Settings, snapshot: Contexts
) -> None:
    faults.card = {"max_model_len": 2048}
    with pytest.raises(PromptTooLongError, match=r"scripted takes 2048 tokens.*--form structured"):
        OpenAIProposer(settings()).ask(snapshot())
    assert not faults.requests


def test_overflow_is_known_without_numbers() -> None:
    for said in ("context_length_exceeded", "Payload Too Large", "input is too long for requested model"):
        assert is_overflow(said)
    assert not is_overflow("model not found")
