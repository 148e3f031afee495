r"""Mathematics that JSON turned into control characters: a model that writes `"\beta"` means `\beta`, not a backspace.

JSON reads `\b \f \n \r \t` before any other letter of a LaTeX command. Backspace and form feed are never meant in a
report. A line break or tab is undone where the letters after it complete a command; where they may be words or names of
their own (`\nu`: a line break and `u`), what stands around them decides, and in doubt the line break stays.
"""

import re
from collections.abc import Iterable
from typing import Any

DEEPEST = 6
"""Levels of an object that can hold prose."""

_LETTERS = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_BROKEN = re.compile(r"[\b\f\n\r\t](?=[A-Za-z])([A-Za-z]*)")

_B = """
    bar because begin beta beth between bf big bigcap bigcup bigg biggl biggm biggr bigl bigm bigodot bigoplus
    bigotimes bigr bigsqcup bigstar biguplus bigvee bigwedge binom blacksquare bm bmod boldsymbol bot bowtie boxed
    bra braket breve bullet bumpeq
"""
_F = "fbox fcolorbox flat footnotesize forall frac frak frown"
_R = """
    rVert raise ran rangle rank rbrace rbrack rceil rfloor rgroup rho rhd right rightarrow rightarrowtail
    rightharpoondown rightharpoonup rightleftarrows rightleftharpoons rightsquigarrow rlap rm rmoustache root rtimes
    rule rvert
"""
_T = """
    tag tan tanh tau tbinom text textbf textit textmd textnormal textrm textsc textsf textstyle textsubscript
    textsuperscript texttt tfrac therefore theta thetasym thickapprox thicksim thinspace tilde times tiny to top tr
    triangle triangledown triangleleft trianglelefteq triangleq triangleright trianglerighteq twoheadrightarrow
"""
_N = """
    nLeftarrow nRightarrow nVdash nVert nabla natural ncong ne nearrow neg neq newcommand newline nexists ngeq ngtr ni
    nleftarrow nleq nless nmid nolimits nonumber norm normalsize not notag notin nparallel nprec nrightarrow nsim
    nsubseteq nsucc nsupseteq ntriangleleft nu num nvdash nwarrow
"""
_COMMANDS = frozenset(f"{_B} {_F} {_R} {_T} {_N}".split())
_OWN_WORDS = "ne neg nexists ni nless nmid nparallel nsim nu num tag tan text to top tr"
_AMBIGUOUS = frozenset(_OWN_WORDS.split())
"""Those whose rest may be a word or a name at the beginning of a line: u, e, i, exists, less, o, op, ext."""
_IN_CODE = frozenset(f"{_B} {_F} {_R} nabla notin nonumber theta thetasym tau times tilde tfrac triangleq".split()) | {
    name for name in _T.split() if name.startswith("text") and name != "text"
}
"""Those whose rest is no name that a line of code may begin with."""

_DEFINITION = re.compile(
    r"(?:\s?[_^](?:[^\W_]++|\{[^{}\n]{0,40}\}))*+'*+[ ]?(?:\([^()\n]{0,40}\)[ ]?)?"
    r"(?::?=(?!=)|<-|←|\\(?:gets|leftarrow)\b)"
)
LONGEST_LINE = 1000
"""Signs before a command that are looked at."""
_OPENING = tuple("$([{_^&|~")
_OPERATORS = tuple("=+-*/<>,:;")
_SINGLE_WORD = re.compile(r"\\[A-Za-z]{2,}")
_COMMAND_BEFORE = re.compile(r"[\\\b\f\r][A-Za-z]{2,40}\Z")
_ESCAPED_NAME = re.compile(r"[\w\\]+")
_LOST_LINE_END = re.compile(r"(?<!\\)\\(?=\s|\Z)")


def with_mathematics(value: dict[str, Any], is_json: bool, single_backslashes: bool) -> dict[str, Any]:
    """The object with the commands in its strings made whole again.

    `is_json`: every backslash of it was written twice. `single_backslashes`: some are known to have been written once.
    """
    single = single_backslashes or any(_has_clear(text) for text in _strings(value, DEEPEST))

    def mended(value: Any, name: str, levels: int) -> Any:
        if isinstance(value, str):
            if not is_json and (name == "code" or _ESCAPED_NAME.fullmatch(value)):
                value = value.replace(r"\_", "_")  # as Markdown has it
            return _in_code(value) if name == "code" else _in_prose(value, single, is_json)
        if levels and isinstance(value, dict):
            return {key: mended(item, key, levels - 1) for key, item in value.items()}
        if levels and isinstance(value, list):
            return [mended(item, name, levels - 1) for item in value]
        return value

    return {key: mended(item, key, DEEPEST) for key, item in value.items()}


def _strings(value: Any, levels: int) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif levels and isinstance(value, dict | list):
        for name, item in value.items() if isinstance(value, dict) else enumerate(value):
            if name != "code":
                yield from _strings(item, levels - 1)


def _has_clear(text: str) -> bool:
    return any(_is_clear(text, found) for found in _BROKEN.finditer(text))


def _is_clear(text: str, found: re.Match[str]) -> bool:
    """Whether it cannot be anything but the beginning of a command."""
    sign, command = found[0][0], _LETTERS[found[0][0]] + found[1]
    if sign in "\b\f":
        return True
    if command == "neq" and re.match(r"\.| ?\(\d", text[found.end() : found.end() + 3]):
        return False  # "eq. 3"
    return command in _COMMANDS and command not in _AMBIGUOUS


def _in_prose(text: str, single: bool, is_json: bool) -> str:
    doubled = is_json and bool(_SINGLE_WORD.search(text))

    def mended(found: re.Match[str]) -> str:
        command = _LETTERS[found[0][0]] + found[1]
        meant = _is_clear(text, found) or (command in _AMBIGUOUS and not doubled and _is_meant(text, found, single))
        return f"\\{command}" if meant else found[0]

    restored = _BROKEN.sub(mended, text)
    if single and r"\begin{" in restored:
        restored = _LOST_LINE_END.sub(r"\\\\", restored)
    return restored


def _is_meant(text: str, found: re.Match[str], single: bool) -> bool:
    """Whether an ambiguous command is one: no line or column begins there, and mathematics is under way."""
    before = text[max(0, found.start() - LONGEST_LINE) : found.start()]
    line = before[before.rfind("\n") + 1 :]
    if not before or line.count("$") % 2 or before.endswith(_OPENING):
        return True
    if not line.strip():
        return False  # an empty line, or one that is indented
    if _DEFINITION.match(text, found.end()):
        return False
    if found[0][0] == "\t":
        return single or before.endswith((" ", *_OPERATORS, "}", ")"))
    if before.endswith(" "):
        return single or not before.rstrip().endswith((".", ";", ",", ":"))
    return single and (before.endswith(_OPERATORS) or bool(_COMMAND_BEFORE.search(before)))


def _in_code(source: str) -> str:
    def mended(found: re.Match[str]) -> str:
        command = _LETTERS[found[0][0]] + found[1]
        return f"\\{command}" if command in _IN_CODE else found[0]

    return _BROKEN.sub(mended, source)
