"""The pages as files: templates of prompts/site/ filled in, and the assets that they load."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from agent.analysis.differences.front import RATE
from agent.analysis.predictions.calibration import summarise
from agent.analysis.predictions.published_predictions import UNSCORED_PROTOCOL
from agent.site.content.board import SiteBoard
from agent.site.content.facts import facts, outcome_tasks
from agent.site.content.family import Neighbours, Sketch
from agent.site.content.front import front_rows, nearest
from agent.site.content.predicted import calibration, ledger
from agent.site.content.row import DAMAGED, UNIT, Row
from agent.site.content.text import prose, visible
from agent.site.data import board_script, script_json
from agent.words import TOLD, accuracy, counted, number, signed, told_outcome, verdict_words
from variants.contract import BASELINE, REFERENCE, short_name

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
"""Scripts and styles of the site's own files and nothing else: no inline ones, and no connection to anywhere."""
VIEWS = {"overview": "Overview", "lineage": "Lineage", "front": "Front", "calibration": "Calibration"}
_ASSETS = ("site.css", "icon.svg", "site.js", "overview.js", "lineage.js", "front.js", "calibration.js", "proposal.js")
_VENDORED = ("echarts.min.js", "echarts.LICENSE.txt", "echarts.LICENSE-d3.txt", "echarts.NOTICE.txt")


@dataclass(frozen=True)
class Shell:
    """What all pages of a site share."""

    archive: str


def board_files(boards: Sequence[SiteBoard], shell: Shell) -> Iterator[tuple[str, str]]:
    """Path and text of every page of every board, and of its data; the first board's overview is the index, too."""
    found = ledger()
    published = {"published": {title: summarise(own) for title, own in found.items()}, "ledger": found}
    for board in boards:
        front = front_rows(board)
        yield f"data/{board.slug}.js", board_script(board, front)
        common = {"root": "", "shell": shell, "board": board, "boards": boards}
        own: dict[str, dict[str, Any]] = {
            "overview": {"facts": facts(board)},
            "lineage": {},
            "front": {"front": front, "nearest": nearest(board)},
            "calibration": {"calibration": calibration(board), **published},
        }
        for view in VIEWS:
            page = _render(f"{view}.html.j2", view=view, **common, **own[view])
            yield f"{view}-{board.slug}.html", page
            if view == "overview" and board == boards[0]:
                yield "index.html", page


def proposal_html(page: dict[str, Any], around: Neighbours, shell: Shell, sketch: Sketch) -> str:
    """One proposal's page."""
    board = _without_rows(sketch.protocol, sketch.protocol_hash)
    return _render("proposal.html.j2", view="proposal", root="../", shell=shell, board=board, around=around, **page)


def damaged_html(row: Row, around: Neighbours, shell: Shell, sketch: Sketch) -> str:
    """The page of a proposal that cannot be read: what is wrong, and how to mend it."""
    board = _without_rows(sketch.protocol, sketch.protocol_hash)
    return _render("damaged.html.j2", view="damaged", root="../", shell=shell, board=board, around=around, row=row)


@cache
def _without_rows(protocol: str, digest: str) -> SiteBoard:
    """What the pages of proposals say of their board. It derives its floor once, for all of them."""
    return SiteBoard(protocol, digest, ())


def asset_files() -> Iterator[tuple[str, bytes]]:
    """Path and content of the style, the scripts and the charting library, with its licence."""
    source = files("agent.site") / "assets"
    yield from ((f"assets/{name}", (source / name).read_bytes()) for name in _ASSETS)
    yield from ((f"assets/vendor/{name}", (source / "vendor" / name).read_bytes()) for name in _VENDORED)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("prompts", "site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "accuracy": _accuracy,
        "signed": _signed,
        "duration": _duration,
        "shown": visible,
        "prose": prose,
        "breakable": _breakable,
        "chance": _chance,
        "short": short_name,
    }
    made.globals |= {
        "BASELINE": BASELINE,
        "REFERENCE": REFERENCE,
        "UNIT": UNIT,
        "DAMAGED": DAMAGED,
        "UNSCORED_PROTOCOL": UNSCORED_PROTOCOL,
        "POLICY": POLICY,
        "VIEWS": VIEWS,
        "outcome_tasks": outcome_tasks,
        "number": number,
        "counted": counted,
        "RATE": RATE,
        "GAP_STYLES": {"▲": "better", "▼": "worse", "=": "inert", "": "indistinguishable"},
        "WORDS": TOLD,
        "told_outcome": told_outcome,
        "verdict_words": verdict_words,
        "script_json": lambda value: Markup(script_json(value)),
    }
    return made


def _render(template: str, **context: Any) -> str:
    return _environment().get_template(template).render(**context)


def _accuracy(units: int) -> str:
    return accuracy(units / UNIT)


def _signed(units: int) -> str:
    """`+0.012`, with a true minus sign."""
    return signed(units / UNIT).replace("-", "−")


def _chance(p: float) -> str:
    """Three digits; never a p of 0."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _breakable(name: str) -> Markup:
    """A name that may be broken after each of its words."""
    return escape(name).replace("_", Markup("_<wbr>"))


def _duration(seconds: float) -> str:
    """`178 s`, `12 min`, `4.2 h`: two digits are enough."""
    if seconds < 600:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:,.1f} h"
