"""Replies as models write them: which object is meant, where its code is, what its strings say, and what is wrong."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.proposers.llm.reply.read import BadReply, CodeReply, read_reply
from agent.proposers.llm.reply.structured import StructuredReply
from agent.proposers.llm.reply.tolerant_json import TolerantReader
from evaluator.tasks.registry import MAD_TASKS

CODE = '''"""Reads the state through a gate.

```
o_i = sigmoid(q_i) S
```
"""

import torch


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    """Returns o and S."""
    return torch.sigmoid(q) @ (k.mT @ v), k.mT @ v
'''
OTHER_CODE = "import torch\n\n\ndef delta_rule_chunkwise(q, k, v, beta, chunk_size=32):\n    return q, k.mT @ v\n"
PROPOSAL: dict[str, Any] = {
    "insights": ["Fuzzy Recall is at 0.217."],
    "parent": "delta_net_4layer",
    "title": "A gated read",
    "name": "gated_read",
    "motivation": "The state is read in full, whatever the query asks for.",
    "mathematics": "o_i = sigmoid(q_i) S\nu_i = u - w S",
    "code": CODE,
    "predictions": {task: {"mean": 0.5, "low": 0.4, "high": 0.6, "why": "a guess"} for task in MAD_TASKS},
    "differences": ["Wang's gate is on the write; none is on the read."],
    "next_steps": ["Gate the write."],
}
EXPECTED = CodeReply.model_validate(PROPOSAL, context={"tasks": MAD_TASKS})
FINAL = json.dumps(PROPOSAL, indent=1)
DRAFT = json.dumps(PROPOSAL | {"title": "A draft", "motivation": "Longer than the answer. " * 90, "code": OTHER_CODE})


def read(text: str, finish: str = "stop") -> CodeReply:
    return read_reply(text, finish, CodeReply, MAD_TASKS)


def complaint(text: str, finish: str = "stop") -> str:
    with pytest.raises(BadReply) as bad:
        read(text, finish)
    return str(bad.value)


def test_predictions_are_of_the_tasks_that_were_asked_for() -> None:
    predictions = {task: {"mean": 0.5, "low": 0.4, "high": 0.6} for task in ("MQAR", "Long Copy")}
    text = json.dumps(PROPOSAL | {"predictions": predictions})
    assert set(read_reply(text, "stop", CodeReply, ["Long Copy", "MQAR"]).predictions) == {"MQAR", "Long Copy"}
    for asked, says in (
        (["MQAR", "Long Copy", "State Tracking"], "predictions: Value error, predictions lack State Tracking"),
        (["MQAR"], "predictions: Value error, predictions are asked for MQAR alone, not for Long Copy"),
    ):
        with pytest.raises(BadReply, match=says):
            read_reply(text, "stop", CodeReply, asked)


def without_code(**changes: Any) -> str:
    """The proposal as JSON with other fields; None leaves one out."""
    fields = {**PROPOSAL, "code": "see below", **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None})


FINAL_CHANNEL = "<|start|>assistant<|channel|>final<|message|>"
THINKING = {
    "think": f"<think>\n{DRAFT}\n</think>\n{FINAL}",
    "think, opened in the prompt": f"Perhaps {DRAFT}. No.\n</think>\n\n{FINAL}",
    "think, twice": f"<think>{DRAFT}</think>\nLet me see.\n<think>{DRAFT}</think>{FINAL}",
    "think that names its own mark": f"<think>I close with <think> and </think>. {DRAFT}</think>{FINAL}",
    "think after the answer": f"{FINAL}\n<think>Or rather {DRAFT}?</think>",
    "think after the answer, cut off": f"{FINAL}\n<think>\nOr rather {DRAFT}?",
    "thinking": f"<thinking>{DRAFT}</thinking>{FINAL}",
    "reflection in thinking": f"<thinking>a <reflection>{DRAFT}</reflection> {DRAFT}</thinking>{FINAL}",
    "another end": f"<reasoning>{DRAFT}</think>{FINAL}",
    "attributes": f'<thought effort="high">{DRAFT}</thought>{FINAL}',
    "capitals": f"<THINK>{DRAFT}</THINK>{FINAL}",
    "seed": f"<seed:think>{DRAFT}</seed:think>{FINAL}",
    "Mistral": f"[THINK]{DRAFT}[/THINK]{FINAL}",
    "Mistral, opened in the prompt": f"{DRAFT}[/THINK]{FINAL}",
    "Cohere": f"<|START_THINKING|>{DRAFT}<|END_THINKING|><|START_RESPONSE|>{FINAL}<|END_RESPONSE|>",
    "begin_of_thought": f"<|begin_of_thought|>{DRAFT}<|end_of_thought|><|begin_of_solution|>{FINAL}",
    "Kimi": f"◁think▷{DRAFT}◁/think▷{FINAL}",
    "Gemma": f"<|channel>thought\n{DRAFT}<channel|>{FINAL}",
    "a page": f'<details type="reasoning" done="true"><summary>Thought</summary>{DRAFT}</details>{FINAL}',
    "ollama": f"Thinking...\n{DRAFT}\n...done thinking.\n\n{FINAL}",
    "gpt-oss": f"<|channel|>analysis<|message|>{DRAFT}<|end|>{FINAL_CHANNEL}{FINAL}<|return|>",
    "gpt-oss, constrained": (
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|channel|>final <|constrain|>json<|message|>{FINAL}"
    ),
    "gpt-oss, final first": f"<|channel|>final<|message|>{DRAFT}<|end|>{FINAL_CHANNEL}{FINAL}<|return|>",
    "gpt-oss, commentary last": (
        f"{FINAL_CHANNEL}{FINAL}<|end|><|start|>assistant<|channel|>commentary<|message|>{DRAFT}<|end|>"
    ),
    "gpt-oss, first mark dropped": f"analysis<|message|>{DRAFT}<|end|>{FINAL_CHANNEL}{FINAL}",
    "gpt-oss, all marks dropped": f"analysisPerhaps {DRAFT}assistantfinal{FINAL}",
}


@pytest.mark.parametrize("kind", THINKING)
def test_thinking_is_cut_before_anything_is_looked_for(kind: str) -> None:
    assert read(THINKING[kind]).title == PROPOSAL["title"]
    assert read(THINKING[kind]).code == CODE


@pytest.mark.parametrize("where", ["motivation", "code"])
@pytest.mark.parametrize("mark", ["<think>", "</think>", "<|channel|>final<|message|>", "[/THINK]"])
def test_a_mark_inside_a_string_of_the_answer_is_text(mark: str, where: str) -> None:
    text = (
        f'"""Tokens such as {mark} end the state."""\n\n{OTHER_CODE}' if where == "code" else f"After {mark} it resets."
    )
    reply = json.dumps(PROPOSAL | {where: text})
    for said in (reply, f"<think>{DRAFT}</think>\n```json\n{reply}\n```"):
        assert getattr(read(said), where) == text
        assert read(said).title == PROPOSAL["title"]


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{DRAFT}",
        f"<think>{DRAFT}</think>",
        f"{DRAFT}</think>\n",
        f"[THINK]{DRAFT}",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|>",
        f"<|channel|>commentary<|message|>{DRAFT}<|end|>",
    ],
)
def test_a_draft_is_no_answer_where_nothing_follows_it(text: str) -> None:
    assert "it holds nothing but thinking" in complaint(text)
    assert "reached before the end of the model's thinking" in complaint(text, "length")


ONE_OF_SEVERAL = {
    "the last of two": f"{DRAFT}\n\nShorter and better:\n\n{FINAL}",
    "the last of two in fences": f"```json\n{DRAFT}\n```\nOr rather:\n```json\n{FINAL}\n```\nDone.",
    "before objects of other forms": f'{FINAL}\n\nPredicted: {json.dumps(PROPOSAL["predictions"])}, {{"title": "x"}}',
    "after one that broke off": f'{{"insights": ["Fuzzy Recall is", \n\nLet me begin again:\n{FINAL}',
    "after one that broke off in a string": f'{{"insights": ["Fuzzy Recall is\n\nLet me begin again:\n{FINAL}',
    "after one with a mistake": f'{{"insights": ["a "write" gate"], "parent": "p"}}\nCorrected:\n{FINAL}',
    "after an outline": f'{{"insights": [...], "code": "..."}}\n{FINAL}',
    "in words and sets": f"With S in {{0, 1}} and {{q_i}} as $\\frac{{a}}{{b}}$:\n{FINAL}\nThat is {{all}}.",
    "repeated until the limit": f"{FINAL}\n{FINAL[:400]}",
    "wrapped": json.dumps({"proposal": PROPOSAL}),
    "wrapped twice": json.dumps({"response": {"status": "ok", "result": PROPOSAL}}),
    "in a list": json.dumps([PROPOSAL]),
    "in a list that is wrapped": json.dumps({"proposals": [json.loads(DRAFT), PROPOSAL]}),
    "as properties": json.dumps({"type": "object", "properties": PROPOSAL}),
    "as arguments of a call": f"<tool_call>{json.dumps({'name': 'proposal', 'arguments': PROPOSAL})}</tool_call>",
    "as arguments in text": json.dumps({"name": "proposal", "arguments": FINAL}),
    "as one string": json.dumps(FINAL),
    "in a wrapping that broke off": f'{{"proposal": {FINAL}',
    "in tags": f"<answer>\n{FINAL}\n</answer>",
}


@pytest.mark.parametrize("kind", ONE_OF_SEVERAL)
def test_the_last_complete_object_of_the_form_is_the_answer(kind: str) -> None:
    found = read(ONE_OF_SEVERAL[kind])
    assert found == EXPECTED


@pytest.mark.parametrize("finish", ["stop", "length"])
def test_a_draft_is_not_taken_for_the_answer_that_was_begun_after_it(finish: str) -> None:
    begun = f"{DRAFT}\nBetter:\n{FINAL[:220]}"
    problem = "cut off at the limit" if finish == "length" else "has no end; the reply ends within mathematics"
    assert problem in complaint(begun, finish)
    broken = f"{DRAFT}\nBetter:\n{FINAL}".replace('"A gated read"', '"A "gated" read"')
    assert "in title: a comma or } should stand here" in complaint(broken, finish)


def test_the_last_object_of_the_form_is_judged_though_an_earlier_one_was_right() -> None:
    predictions = PROPOSAL["predictions"] | {"Compress": {"mean": 0.9, "low": 0.1, "high": 0.2}}
    said = complaint(f"{DRAFT}\n{json.dumps(PROPOSAL | {'predictions': predictions})}")
    assert "predictions.Compress: Value error, low <= mean <= high does not hold" in said


FIELDS_OF_CODE = {
    "as it is, with a fence in its docstring": (CODE, CODE),
    "one fence": (f"```python\n{OTHER_CODE}```", OTHER_CODE),
    "one fence, with one in its docstring": (f"```python\n{CODE}```", CODE),
    "one fence, with LaTeX in its docstring": (
        f'```python\n"""S \\alpha"""\n{OTHER_CODE}```',
        f'"""S \\alpha"""\n{OTHER_CODE}',
    ),
    "one fence of four marks": (f"````py\n{CODE}````\n", CODE),
    "one fence without a label": (f"\n```\n{OTHER_CODE}\n```\n", OTHER_CODE),
    "one fence, closed in the last line": (f"```python\n{OTHER_CODE.rstrip()}```", OTHER_CODE),
    "one fence around code with a mistake": ("```python\ndef f(:\n    pass\n```", "def f(:\n    pass\n"),
    "words and a fence": (f"The kernel:\n\n```python\n{OTHER_CODE}```\n", OTHER_CODE),
    "code with a mistake and a fence in its docstring": (f"{CODE}\nx = (", f"{CODE}\nx = (\n"),
    "escaped twice, with a mistake": ("import torch\\ndef f(:\\n    pass", "import torch\ndef f(:\n    pass\n"),
    "escaped twice": (json.dumps(CODE)[1:-1], CODE),
    "escaped twice, but for its quotes": (CODE.replace("\n", "\\n"), CODE),
    "indented": ("".join(f"    {line}" for line in OTHER_CODE.splitlines(True)), OTHER_CODE),
    "lines": (OTHER_CODE.splitlines(), OTHER_CODE),
    "Windows": (OTHER_CODE.replace("\n", "\r\n"), OTHER_CODE),
}


@pytest.mark.parametrize("kind", FIELDS_OF_CODE)
def test_the_field_is_unwrapped_only_where_it_is_no_code_as_it_stands(kind: str) -> None:
    field, source = FIELDS_OF_CODE[kind]
    assert read(json.dumps(PROPOSAL | {"code": field})).code == source


def test_code_in_the_field_goes_before_a_fence_beside_it() -> None:
    assert read(f"```python\n{OTHER_CODE}```\n{FINAL}").code == CODE
    mistake = "def delta_rule_chunkwise(q:\n    return q\n"
    assert read(f"{json.dumps(PROPOSAL | {'code': mistake})}\n```python\n{OTHER_CODE}```").code == mistake


@pytest.mark.parametrize(
    "label", ["python", "python3", "py", "Python", "py3", "python title=kernel.py", "{.python}", ""]
)
@pytest.mark.parametrize(
    "field", ["see below", "see_below", "```python```", "# see the fence", "...", "None", "", None]
)
def test_a_field_without_code_means_the_fence_beside(label: str, field: str | None) -> None:
    fence = f"```{label}\n{CODE}```"
    assert read(f"{without_code(code=field)}\n\nThe kernel:\n\n{fence}\n").code == CODE
    assert read(f"{fence}\n\n```json\n{without_code(code=field)}\n```").code == CODE


FENCES = {
    "the last that defines the kernel": f"```python\n{OTHER_CODE}```\nBetter:\n```python\n{CODE}```",
    "not an example of its use": f"```python\n{CODE}```\nUse:\n```python\no, S = delta_rule_chunkwise(q)\n```",
    "not a command": f"```python\n{CODE}```\n```bash\nimport this\n```",
    "not one of the thinking": f"```python\n{CODE}```\n<think>```python\n{OTHER_CODE}```</think>",
    "in tildes": f"~~~python\n{CODE}~~~",
    "in an item of a list": "1. ```python\n" + "".join(f"   {line}" for line in CODE.splitlines(True)) + "   ```",
    "without an end": f"```python\n{CODE}",
}


@pytest.mark.parametrize("kind", FENCES)
def test_of_several_fences_the_kernel_is_taken(kind: str) -> None:
    assert read(f"{without_code()}\n{FENCES[kind]}").code == CODE


def test_no_code_anywhere_is_said() -> None:
    assert "code: it holds no code but 'see below', and no fence with Python stands beside" in complaint(without_code())
    assert "code: Field required" in complaint(without_code(code=None))
    assert "code: Input should be a valid string" in complaint(without_code(code={"python": 3}))
    assert "cut off at the limit" in complaint(f"{without_code()}\n```python\n{CODE}", "length")
    assert "a content filter of the endpoint cut it off" in complaint(
        f"{without_code()}\n```\n{CODE}", "content_filter"
    )


def edited(*changes: tuple[str, str]) -> str:
    """The proposal's JSON with text replaced; every replacement must find its text."""
    text = FINAL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


QUOTED_CODE = json.dumps(CODE)
NAMES = ("delta_net_4layer", "gated_read", "chunk_size", "next_steps")
JSON_AS_MODELS_WRITE_IT = {
    "a comma before a bracket": edited(('Recall is at 0.217."', 'Recall is at 0.217.",'), ("\n ]\n}", "\n ],\n}")),
    "comments": edited(('"parent":', '// of\n /* what,\n "x" */ "parent":'), ('"title"', '# in words\n "title"')),
    "line breaks in strings": edited(("\\n", "\n")),
    "code in triple quotes": edited((QUOTED_CODE, '"""{}"""'.format(CODE.replace('"""', '\\"""')))),
    "code in triple quotes with docstrings": edited((QUOTED_CODE, f'"""{CODE}"""')),
    "code in a triple raw string": edited((QUOTED_CODE, f"r'''{CODE}'''")),
    "code in triple quotes from the next line on": edited((QUOTED_CODE, f"'''\\\n{CODE}'''")),
    "code in back quotes": edited((QUOTED_CODE, f"`{CODE}`")),
    "code joined line by line": edited((QUOTED_CODE, " +\n".join(json.dumps(line) for line in CODE.splitlines(True)))),
    "single quotes": edited(('"A gated read"', "'A gated read'"), ('"gated_read"', "'gated_read'")),
    "names without quotes": edited(('"title"', "title"), ('"mean"', "mean")),
    "Python": repr(PROPOSAL),
    "Python with tuples": repr(PROPOSAL | {"insights": tuple(PROPOSAL["insights"]), "extra": None}),
    "numbers": edited(('"low": 0.4', '"low": .4'), ('"high": 0.6', '"high": +0.6')),
    "apostrophes escaped": edited(("Wang's gate", "Wang\\'s gate")),
    "underscores as in Markdown": edited(*((name, name.replace("_", "\\_")) for name in NAMES)),
    "signs of JavaScript": edited(('"why": "a guess"', '"why": "a guess", "more": undefined')),
}  # fmt: skip


@pytest.mark.parametrize("kind", JSON_AS_MODELS_WRITE_IT)
@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "Here it is:\n{}\nI hope that it helps."])
def test_json_as_models_write_it_is_read(kind: str, around: str) -> None:
    assert read(around.replace("{}", JSON_AS_MODELS_WRITE_IT[kind])) == CodeReply.model_validate(
        PROPOSAL, context={"tasks": MAD_TASKS}
    )


LATEX = {
    r"\beta_t \frac{a}{b} \rho \nabla_S \theta": r"\beta_t \frac{a}{b} \rho \nabla_S \theta",
    r"S_t = \alpha_t S_{t-1} + \beta_t k_t^\top v_t": r"S_t = \alpha_t S_{t-1} + \beta_t k_t^\top v_t",
    r"\\alpha \\beta \\nabla \\rho": r"\alpha \beta \nabla \rho",
    r"\tau \times \text{gate} \tilde{u} \tanh(x) \to 0": r"\tau \times \text{gate} \tilde{u} \tanh(x) \to 0",
    r"S \leftarrow \nu S, \neq 0, x \ne y": r"S \leftarrow \nu S, \neq 0, x \ne y",
    r"$\nu$, ($\tau$), {\bf S}, \right) \bar{k}": r"$\nu$, ($\tau$), {\bf S}, \right) \bar{k}",
    r"\underbrace{u}_{\varphi} \upsilon \uparrow": r"\underbrace{u}_{\varphi} \upsilon \uparrow",
    r"\(S\) \[u\] \{x\} \, \; a \| b": r"\(S\) \[u\] \{x\} \, \; a \| b",
    r"\begin{cases} a &= b \\ c &= \frac{d}{e} \end{cases}": r"\begin{cases} a &= b \\ c &= \frac{d}{e} \end{cases}",
    r"\xi \zeta \vec{v} \hat{a} \gamma \eta \mu \\pi": r"\xi \zeta \vec{v} \hat{a} \gamma \eta \mu \pi",
    r"o = q S\nu_i = u - w S\ne_i = v - k S\ni = 3": "o = q S\nu_i = u - w S\ne_i = v - k S\ni = 3",
    r"\beta = \sigma(x)\nu_i = u - w S": "\\beta = \\sigma(x)\nu_i = u - w S",
    r"o_i:\n\to_i = q_i S\n\tS = 0": "o_i:\n\to_i = q_i S\n\tS = 0",
    r"See\neq. 3, with\nless noise,\nmid-way": "See\neq. 3, with\nless noise,\nmid-way",
    r"\\alpha = 1 \nu_i = 2": "\\alpha = 1 \nu_i = 2",
    r"decay \u03b1 and \"gate\" and \\n": r'decay α and "gate" and \n',
}


@pytest.mark.parametrize("written", LATEX)
@pytest.mark.parametrize("field", ["mathematics", "motivation"])
def test_mathematics_survives(written: str, field: str) -> None:
    said = getattr(read(edited((json.dumps(PROPOSAL[field]), f'"{written}"'))), field)
    assert said == LATEX[written]


def test_mathematics_survives_in_docstrings_and_code_stays_code() -> None:
    written = (
        CODE.replace("sigmoid(q_i) S", "\\beta \\frac{1}{2} \\nabla \\alpha q").replace('"', '\\"').replace("\n", "\\n")
    )
    code = read(edited((QUOTED_CODE, f'"{written}"'))).code
    assert code == CODE.replace("sigmoid(q_i) S", "\\beta \\frac{1}{2} \\nabla \\alpha q")
    tabs = "def f(u, o):\n\to = 1\n\tu = 2\n\text = 3\n\top = 4\n\nu = 5\ne = 6\neq = 7\n"
    assert read(json.dumps(PROPOSAL | {"code": tabs})).code == tabs


COMPLAINTS = {
    "a quote that is not escaped": (
        edited(("state is read in full", 'state is "read" in full')),
        "no valid JSON at line 8, column 31, in motivation: a comma or } should stand here: the string before it ends "
        'too early (a quotation mark inside of a string is written \\", a line break \\n), or a comma is missing; '
        'there stands: read" in full,',
    ),
    "a comma that is missing": (edited(('"gated_read",', '"gated_read"')), "line 8, column 2, in name: a comma or }"),
    "a value that is missing": (
        edited(('"mean": 0.5', '"mean": ')),
        "at line 13, column 12, in predictions.Compress.mean: a value should stand here",
    ),
    "a word as a value": (edited(('"mean": 0.5', '"mean": about')), "in predictions.Compress.mean: a value should"),
    "a range": (edited(('"mean": 0.5', '"mean": 0.4-0.6')), "in predictions.Compress.mean: a comma or }"),
    "a percentage": (edited(('"mean": 0.5', '"mean": 50%')), "in predictions.Compress.mean: a value should"),
    "three dots": (edited(('"Gate the write."', "...")), "in next_steps.0: three dots stand in place of a value"),
    "no colon": (edited(('"title":', '"title"')), "in title: a colon should stand after the name 'title'"),
    "a bracket of another kind": (edited(("\n ]\n}", "\n }\n}")), "in next_steps.0: a comma or ]"),
    "typographic quotes": (edited(('"', "”")), 'line 2, column 2: a name in "quotation marks" should stand here, in'),
    "no end": (FINAL[:-40], "no complete JSON object: the one at line 1, column 1 has no end"),
    "no end, after words": (f"Here:\n\n{FINAL[:400]}", "at line 3, column 1 has no end; the reply ends within code"),
    "after thinking": (f"<think>\n{DRAFT}\n</think>\n{edited(('0.5', ''))}", "at line 16, column 12, in predictions"),
    "no object": ("I would try a gate on the read.", "no complete JSON object; it begins: I would try a gate"),
    "a refusal": ("I'm sorry, but I can't help with code.", "the model refuses: I'm sorry, but"),
    "another object": ('{"idea": "use attention"}', "insights: Field required; parent: Field required"),
    "a part of the object": ('{"title": "x", "code": "y = 1"}', "insights: Field required; parent: Field required"),
    "a field of an inner object": (
        json.dumps(PROPOSAL | {"predictions": {"Compress": {"mean": 0.5}}}),
        "predictions.Compress.low: Field required",
    ),
    "nesting": ('{"insights": ' + "[" * 90 + "]" * 90 + "}", "the brackets are nested more than 50 deep"),
    "digits": (edited(('"mean": 0.5', f'"mean": {"9" * 5000}')), "a number of 5000 digits is too long"),
}  # fmt: skip


@pytest.mark.parametrize("kind", COMPLAINTS)
def test_what_cannot_be_read_is_named_with_its_place(kind: str) -> None:
    text, problem = COMPLAINTS[kind]
    assert problem in complaint(text)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON_VALUES, max_size=4), st.booleans(), st.sampled_from([None, 1]))
def test_tolerance_reads_valid_json_as_python_does(value: dict[str, Any], ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    found = TolerantReader(f"a {text} b").read(2)
    assert found.value == value
    assert found.end == len(text) + 2
    assert not found.single_backslashes


PROSE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=80).filter(str.strip)


@settings(deadline=None)
@given(PROSE, PROSE)
def test_a_valid_reply_says_what_it_said(motivation: str, title: str) -> None:
    found = read(f"I propose:\n{json.dumps(PROPOSAL | {'motivation': motivation, 'title': title})}")
    assert found.motivation == motivation.strip()
    assert found.title == " ".join(title.split())
    assert found.code == CODE


SIGNS = ["{", "}", "[", "]", '"', "'", "`", '"""', ",", ":", "\\", "\n", "```", "/*", "*/", "//", "#", "...", "+", "$"]
WORDS = ["<think>", "</think>", "<|channel|>final<|message|>", "```python\n", "1e999", "9" * 5000, "None", "\\u12"]
ODDITIES = ["\ud800", "\x00", "\\nu", '"insights"', '"code"', "def f():\n    return 1\n"]
PIECES = st.sampled_from([*SIGNS, *WORDS, *ODDITIES, FINAL, FINAL[:300], FINAL[300:]])


def read_or_refused(text: str, finish: str, form: type[CodeReply] | type[StructuredReply]) -> str | None:
    """Why it was refused; None where it was not."""
    try:
        read_reply(text, finish, form, MAD_TASKS)
    except BadReply as bad:
        return str(bad)
    return None


@settings(deadline=None)
@given(
    st.text() | st.lists(PIECES, max_size=30).map("".join), st.sampled_from(["stop", "length", "content_filter", ""])
)
def test_any_text_is_read_or_refused_in_one_line(text: str, finish: str) -> None:
    for form in (CodeReply, StructuredReply):
        said = read_or_refused(text, finish, form)
        assert said is None or (said.encode("utf-8").strip() and len(said.splitlines()) == 1)


HOSTILE = [
    "{",
    '{"',
    '{"a":',
    '{"a":"',
    "{a:[",
    "{'a':'",
    "{a:`x`x",
    '{a:"""x"""x',
    "{/*",
    "{#",
    "```\n",
    "<think>",
    "</think>",
]
HOSTILE += [
    "<|channel|>",
    " ",
    "\\",
    "{}",
    "\\nu",
    "`",
    "~",
    '{"a":"b"+',
    "```python\ndef f(:\n```\n",
    '{"insights":["',
    "(",
    "_a",
]


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("before", ["", '{"insights": "', "```python\n"])
@pytest.mark.slow
def test_time_is_in_proportion_to_length(unit: str, before: str) -> None:
    """Squared, the processor time of these 60,000 signs would be minutes."""
    began = time.process_time()
    complaint(before + unit * (60_000 // len(unit)))
    assert time.process_time() - began < 5
