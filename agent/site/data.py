"""A board as the script file that its pages read: short keys, whole numbers, nothing that ends a script."""

import json
from collections.abc import Iterable
from typing import Any

from agent.site.content.board import SiteBoard
from agent.site.content.row import UNIT, Against, Row
from agent.words import TOLD, told_outcome
from variants.contract import BASELINE, REFERENCE

_OUTCOMES = {"worse": -1, "indistinguishable": 0, "better": 1, "inert": 2, "single": 3}


def board_script(board: SiteBoard, front: Iterable[Row] = ()) -> str:
    """JavaScript that gives the board to the page: a page opened from disk may load scripts, and fetch nothing.

    The rows of `front` are marked.
    """
    undominated = {id(row) for row in front}
    content = {
        "protocol": board.label,
        "unit": UNIT,
        "tasks": board.tasks,
        "baseline": BASELINE,
        "reference": REFERENCE,
        "words": TOLD,
        "below": [_row(row) for row in (*board.references, *board.controls)],
        "rows": [_row(row) | ({"front": 1} if id(row) in undominated else {}) for row in board.rows],
    }
    return f"window.archerBoard = {script_json(content)};\n"


def script_json(content: Any) -> str:
    """JSON that is safe inside a script element and as a script: no `<`, `>`, `&` or line separator stays itself."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _row(row: Row) -> dict[str, Any]:
    known = {
        "name": row.name,
        "title": row.title,
        "number": row.number,
        "page": row.page,
        "status": row.status,
        "reason": row.reason,
        "parent": row.parent,
        "others": [name for name in row.parents if name != row.parent],
        "by": row.model or row.proposer,
        "day": row.created[:10],
        "whole": row.whole,
        "far": None if row.distance is None else round(row.distance, 3),
        "scores": row.scores if any(row.scores) else None,
        "predicted": row.predictions if row.whole and any(row.predictions) else None,
        "versus": {role: [_against(found) for found in row.versus[role]] for role in row.versus},
        "q": {role: round(q, 4) for role, q in row.discovered.items()},
        "fresh": row.fresh.outcome if row.fresh else None,
        "params": row.size.parameters_text,
        "state": row.size.state_text,
        "times": None if row.size.state is None else round(row.size.state, 4),
        "larger": int(row.size.is_larger) or None,
        "cpu": round(row.cpu),
        "usd": row.usd,
    }
    return {key: value for key, value in known.items() if value not in (None, "", [], {})}


def _against(found: Against | None) -> tuple[int, int, int, int] | None:
    if found is None:
        return None
    return (_OUTCOMES[told_outcome(found[0], found[4])], *found[1:4])
