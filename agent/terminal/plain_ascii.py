"""A terminal that is not UTF-8 gets ASCII: each other character becomes what people write for it, and nothing fails."""

import codecs
import io
import unicodedata
from typing import TextIO

HANDLER = "archer-ascii"
"""Name of the error handler of encodings that spells out what ASCII lacks."""
_SPELLED = {
    "▲": "^", "▼": "v", "●": "*", "○": "o", "•": "*", "·": ".", "✓": "+", "✗": "x", "…": "...", "—": "-", "–": "-",
    "−": "-", "‑": "-", "±": "+-", "×": "x", "÷": "/", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∼": "~", "∝": "~",
    "→": "->", "←": "<-", "↑": "^", "↓": "v", "⇒": "=>", "∂": "d", "∇": "grad ", "∑": "sum ", "∏": "prod ",
    "√": "sqrt", "∞": "inf", "∈": "in", "‖": "||", "⊙": "*", "⊗": "(x)", "⊤": "^T", "‘": "'", "’": "'", "“": '"',
    "”": '"', "°": " deg", "§": "section ", "ß": "ss",
}  # fmt: skip
_SPELLED |= dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True))


def is_utf8(stream: TextIO) -> bool:
    """Whether a stream takes any character."""
    try:
        return codecs.lookup(stream.encoding or "ascii").name.startswith("utf")
    except LookupError:
        return False


def to_ascii(text: str) -> str:
    """`text` with every character that ASCII lacks spelled in ASCII."""
    return text if text.isascii() else "".join(map(_spelled, text))


def speak_ascii(*streams: TextIO) -> None:
    """Make those of the streams that are not UTF-8 write ASCII, whatever is written to them."""
    codecs.register_error(HANDLER, _replacement)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper) and not is_utf8(stream):
            stream.reconfigure(encoding="ascii", errors=HANDLER)


def _replacement(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return to_ascii(error.object[error.start : error.end]), error.end


def _spelled(character: str) -> str:
    if character.isascii():
        return character
    if character in _SPELLED:
        return _SPELLED[character]
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        return "+" if " AND " in name else "-" if name.endswith("HORIZONTAL") else "|"
    if name.startswith("GREEK") and "LETTER" in name:
        letter = name.split(" LETTER ")[1].split()[0]
        return letter.capitalize() if "CAPITAL" in name else letter.lower()
    simpler = unicodedata.normalize("NFKD", character)
    kept = "".join(part for part in simpler if part.isascii())
    return kept or ("" if unicodedata.combining(character) else "?")
