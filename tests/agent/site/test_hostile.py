"""Whatever strangers wrote is text on the page, and nothing on a page loads anything."""

import re
from html.parser import HTMLParser

import pytest

from agent.site.content.text import markdown, prose, seen, visible
from agent.site.data import script_json
from archive.records.record import Exchange
from evaluator.outcomes import Finding, Status
from tests.agent.site.conftest import record_of, variant_of
from tests.builders import make_check, make_provenance

ATTACK = (
    "</script></title></textarea><script>alert(1)</script><img src=x onerror=alert(1)>\"'`>{{7*7}}"
    "\u2028\x85\u202e\x00\x1b[31m"
)
NAME = "delta_net_4layer_hostile_in_for_loop"
REPORT = f"""# {ATTACK}

[click](javascript:alert(1)) [data](data:text/html,<script>alert(1)</script>) [file](file:///etc/passwd)
![pixel](http://evil.example/pixel.png) <img src="http://evil.example/2.png"> <style>@import "http://evil.example"</style>
[ref][1] <http://fine.example/paper> [fine](https://arxiv.org/abs/2412.06464 "{ATTACK.replace('"', "")}")

| a | b |
| ---: | :---: |
| {ATTACK.replace("|", "")} | <iframe src="http://evil.example"></iframe> |

```python"onload="alert(1)
{ATTACK}
```

[1]: javascript:alert(2)
"""


class Page(HTMLParser):
    """Elements and attributes of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))


def assert_harmless(text: str) -> None:
    assert "\u202e" not in text
    assert "\x00" not in text
    assert "\x1b" not in text
    for tag, attributes in Page(text).elements:
        assert tag not in ("iframe", "img", "object", "embed", "style", "base", "frame"), tag
        assert not any(key.startswith("on") or key == "style" for key in attributes), (tag, attributes)
        if tag == "script":
            own = re.match(r"(\.\./)?(assets|data)/[\w./-]+\.js$", attributes.get("src") or "")
            assert own or attributes.get("type") == "application/json", attributes
        if tag == "a" and ":" in (attributes.get("href") or ""):
            assert re.match(r"https?://", attributes["href"]), attributes


def hostile(status: Status):
    source = variant_of(NAME).source.replace('"""', f'"""{ATTACK.replace(chr(0), "")}', 1)
    finding = Finding(check="crash", status="fail", message=ATTACK, evidence={ATTACK: [ATTACK, {"x": "y" * 100_000}]})
    record = record_of(NAME, status, accuracy=0.5)
    words = dict.fromkeys(("title", "motivation", "mathematics"), ATTACK)
    predictions = {t: p.model_copy(update={"why": ATTACK}) for t, p in record.proposal.predictions.items()}
    origin = make_provenance(ATTACK, model=ATTACK, prompt_hash=ATTACK, mechanisms={ATTACK: ATTACK})
    variant = (
        record.proposal.variant
        if status is Status.SCORED
        else record.proposal.variant.model_copy(update={"source": source})
    )
    proposal = record.proposal.model_copy(
        update=words | {"provenance": origin, "predictions": predictions, "variant": variant}
    )
    curve = [{"step": 1, "loss": -1e308}, {"step": 2, "loss": 1e300}]
    trials = tuple(
        type(trial).model_validate(
            trial.model_dump() | {"curve": curve, "setting": ATTACK, "versions": {ATTACK: ATTACK}}
        )
        for trial in record.trials
    )
    return record.model_copy(update={
        "proposal": proposal,
        "reason": ATTACK,
        "trials": trials,
        "exchanges": (Exchange(attempt=1, prompt=ATTACK, reply=ATTACK, error=ATTACK, usage={ATTACK: ATTACK}),),
        "check": make_check(finding, name=NAME, duplicate_of=ATTACK),
    })  # fmt: skip


@pytest.mark.parametrize("status", [Status.SCORED, Status.REJECTED])
def test_a_hostile_record_is_text_on_every_page(archive, make, site, status):
    archive.tell(hostile(status), REPORT)
    make()
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 4
    for page in pages:
        assert_harmless(page.read_text())
    page = (site / "proposals" / "0001.html").read_text()
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 8
    assert "⟨U+202E⟩" in page
    assert "{{7*7}}" in page, "what is filled into a template is no template"
    assert len(page) < 400_000
    for script in (site / "data").glob("*.js"):
        assert not re.search(r"[<>\u2028\u2029]|[^\x00-\x7f]", script.read_text())


def test_every_page_has_the_policy_before_anything_loads(archive, make, site):
    archive.tell(record_of(NAME), "report")
    make()
    for page in site.rglob("*.html"):
        elements = Page(page.read_text()).elements
        at = next(i for i, (tag, found) in enumerate(elements) if found.get("http-equiv") == "Content-Security-Policy")
        assert "default-src 'none'" in elements[at][1]["content"]
        assert "unsafe" not in elements[at][1]["content"]
        assert [tag for tag, _ in elements[:at]] == ["html", "head", "meta"]


URLS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "&#106;avascript:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "file:///etc/passwd",
    "//evil.example",
    "\x01javascript:x",
]


@pytest.mark.parametrize("url", URLS)
def test_links_lead_to_the_web_or_nowhere(url):
    for rendered in (markdown(f"[a]({url})"), markdown(f"<{url}>"), prose(f"[a]({url})")):
        assert "<a " not in rendered


def test_images_are_not_loaded():
    assert "<img" not in markdown("![x](https://example.org/x.png)")
    assert 'rel="noopener noreferrer nofollow"' in markdown("[x](https://example.org)")


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u2066", "\u200b", "\u2028", "\x00", "\x07", "\ufeff", "\ud800", "\U000e0041"]
)
def test_what_hides_is_written_out(hidden):
    shown = visible(f"a{hidden}b")
    assert shown == f"a⟨U+{ord(hidden):04X}⟩b"
    shown.encode()


def test_text_that_does_not_hide_stays():
    assert visible("k_iᵀ ← α·β\n\tдальше 中文 é ü") == "k_iᵀ ← α·β\n\tдальше 中文 é ü"


def test_long_text_is_cut_and_says_so():
    assert visible("x" * 300, 100) == "x" * 100 + " … (200 more characters in the archive)"
    assert seen({"a": ["\x00"]}) == {"a": ["⟨U+0000⟩"]}


def test_json_cannot_end_its_script():
    assert "<" not in script_json({"</script><!--": "]]>&\u2028"})
