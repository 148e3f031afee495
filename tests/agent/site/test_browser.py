"""The site in a real browser, opened from disk: no error, no network, by mouse and keyboard, narrow and wide."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from agent.site.build import build
from agent.words import accuracy, signed
from evaluator.outcomes import Finding, Status
from evaluator.statistics.scorecards import scorecard
from tests.agent.site.conftest import PROTOCOL, REPORT, archive_of_references, record_of
from tests.agent.site.test_hostile import REPORT as HOSTILE_REPORT
from tests.agent.site.test_hostile import hostile
from tests.builders import make_check
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]  # fmt: skip
expect.set_options(timeout=1000 * PATIENCE)
VIEWS = [f"{view}-quick-{PROTOCOL.hash[:8]}.html" for view in ("overview", "lineage", "front", "calibration")]
SIZES = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}

if CHROMIUM is None:
    message = "NO BROWSER: the pages of `archer report` were NOT tested; install one (Debian: apt install chromium)"

    pytest.skip(message, allow_module_level=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Proposals of every status, a hostile one among them, and enough of them for a second page."""
    folder = tmp_path_factory.mktemp("browser")
    archive = archive_of_references(folder / "search")
    leak = Finding(check="causality", status="fail", message="output at 37 moves with input 40", evidence={"cut": 38})
    report = make_check(leak, name="delta_net_4layer_leaky_in_for_loop")
    first = "delta_net_4layer_first_in_for_loop"
    archive.tell(record_of(first, accuracy=0.4), REPORT)
    archive.tell(record_of("delta_net_4layer_second_in_for_loop", accuracy=0.7, parent=first), REPORT)
    archive.tell(hostile(Status.SCORED), HOSTILE_REPORT)
    archive.tell(record_of("delta_net_4layer_leaky_in_for_loop", Status.REJECTED, check=report, reason="leaks"), REPORT)
    for number, status in enumerate((Status.DUPLICATE, Status.FAILED, Status.PRUNED, Status.INTERRUPTED)):
        archive.tell(record_of(f"delta_net_4layer_s{number}_in_for_loop", status, reason="why"), REPORT)
    for number in range(45):
        archive.tell(record_of(f"delta_net_4layer_n{number}_in_for_loop", Status.FAILED, reason="crash"), REPORT)
    build(archive, folder / "site", lambda done, total: None)
    return folder / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET, timeout=1000 * PATIENCE)
        yield opened
        opened.close()


@pytest.fixture(params=["wide-light", "phone-dark"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that fails its test for any error, dialog or request that leaves the site's folder."""
    size, scheme = getattr(request, "param", "wide-light").split("-")
    context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
    context.set_default_timeout(1000 * PATIENCE)
    opened, trouble = context.new_page(), []
    opened.on("console", lambda said: trouble.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: trouble.append(str(error)))
    opened.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    opened.on("request", lambda asked: None if asked.url.startswith("file:") else trouble.append(asked.url))
    yield opened
    context.close()
    assert trouble == []


DRAWN = """() => [...document.querySelectorAll('.chart')].every((figure) => [...figure.querySelectorAll('canvas')].some(
    (canvas) => {
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        const seen = new Set();
        for (let at = 0; at < data.length && seen.size < 4; at += 4) {
            if (data[at + 3]) seen.add(data[at] << 16 | data[at + 1] << 8 | data[at + 2]);
        }
        return seen.size > 3;
    }))"""
"""Whether every figure has something drawn on it, in more than one colour."""


def test_every_page_at_both_widths_in_both_schemes(page: Page, site: Path):
    for name in [*VIEWS, "overview-published.html", *(f"proposals/{n:04d}.html" for n in (1, 2, 3, 4))]:
        page.goto(f"file://{site}/{name}")
        expect(page.locator("h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is wider than the screen"
        figures = page.locator(".chart")
        page.wait_for_function(DRAWN)
        for figure in figures.all():
            assert len(figure.get_attribute("aria-label")) > 20
        assert contrast(page) >= 4.5


def contrast(page: Page) -> float:
    """Least contrast (WCAG 2) of a text colour of the page's palette with the ground."""
    return page.evaluate(
        """() => {
            const probe = document.body.appendChild(document.createElement('i'));
            const light = (name) => {
                probe.style.color = `var(--${name})`;
                const [r, g, b] = getComputedStyle(probe).color.match(/\\d+/g).map((x) => x / 255)
                    .map((x) => (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            const texts = ['ink', 'soft', 'link', 'better', 'worse', 'inert', 'mark', 'ok', 'bad', 'warn', 'comment'];
            return Math.min(...texts.flatMap((name) => ['ground', 'card'].map((on) => ratio(light(name), light(on)))));
        }"""
    )


def expect_names(page: Page, names: list[str]) -> None:
    """Wait until the leaderboard's rows are these, in this order; `names` may name the first few."""
    ideas = page.locator("#board tbody .idea > :first-child")
    for place, name in enumerate(names):
        expect(ideas.nth(place)).to_have_text(name)


@pytest.mark.parametrize("page", ["wide-light"], indirect=True)
def test_sort_filter_page_and_follow(page: Page, site: Path):
    page.goto(f"file://{site}/index.html")
    expect_names(page, ["second"])  # the best mean first
    page.get_by_role("button", name="Compress").click()
    expect(page.locator("th[aria-sort]")).to_have_text("Compress ↓")
    page.get_by_role("button", name="Compress").click()
    expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", "ascending")
    expect_names(page, ["first"])
    expect(page.get_by_role("status")).to_have_text("55 of 55 variants")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#board tbody tr")).to_have_count(5)
    page.get_by_label("Status").first.select_option("REJECTED")
    expect(page.locator("#board tbody tr")).to_have_count(1)
    expect_names(page, ["leaky"])
    page.get_by_role("button", name="Reset").click()
    page.get_by_label("Show").select_option("any")
    expect(page.locator("#board tbody tr")).to_have_count(1)
    expect_names(page, ["second"])
    page.get_by_label("Compare with").select_option("parent")
    page.reload()
    expect(page.get_by_label("Show")).to_have_value("any")
    page.get_by_role("button", name="Reset").click()
    page.get_by_label("Search").fill("second")
    page.get_by_role("link", name="second", exact=True).last.click()
    expect(page.locator("h1")).to_contain_text("The idea of second")
    told = re.compile(r"Memorize: predicted 0\.550 measured 0\.710\.")
    expect(page.locator("#intervals")).to_have_attribute("aria-label", told)
    expect(page.locator("[data-curve]").first).to_have_attribute(
        "aria-label", re.compile("Training loss on Compress, 3 runs")
    )
    page.get_by_role("link", name="first", exact=True).click()
    expect(page.locator("h1")).to_contain_text("The idea of first")


@pytest.mark.parametrize("page", ["wide-light"], indirect=True)
def test_by_keyboard_alone(page: Page, site: Path):
    page.goto(f"file://{site}/index.html")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to content")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Memorize").focus()
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_text("Memorize ↓")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_text("Memorize ↑")
    page.goto(f"file://{site}/{VIEWS[1]}")
    page.locator("#outline-tree summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#outline-tree > li > details").first).not_to_have_attribute("open", "")
    page.keyboard.press("Space")
    page.get_by_label("first, 1 children").press("Enter")
    page.get_by_role("link", name="second", exact=True).press("Enter")
    expect(page.locator("h1")).to_contain_text("The idea of second")


@pytest.mark.parametrize("page", ["wide-light"], indirect=True)
def test_a_hostile_record_runs_nothing(page: Page, site: Path):
    page.goto(f"file://{site}/proposals/0003.html")
    for details in page.locator("details").all():
        details.evaluate("(found) => { found.open = true; }")
    expect(page.locator("h1")).to_contain_text("</script></title></textarea><script>alert(1)</script>")
    expect(page.locator("img, iframe, style, main script:not([type='application/json'])")).to_have_count(0)
    page.goto(f"file://{site}/index.html")
    page.get_by_label("Search").fill("hostile")
    expect(page.locator("#board")).to_contain_text("<img src=x onerror=alert(1)>")
    expect(page.locator("#board img, #board script")).to_have_count(0)


OVERLAPS = """() => {
    const texts = echarts.getInstanceByDom(document.getElementById('tree')).getZr().storage.getDisplayList(true)
        .filter((one) => one.type === 'tspan' && one.style.text && !one.ignore && !one.invisible);
    const boxes = texts.map((one) => {
        const box = one.getBoundingRect().clone();
        if (one.transform) box.applyTransform(one.transform);
        return { text: one.style.text, box };
    });
    const cross = (a, b) => a.x + 1 < b.x + b.width && b.x + 1 < a.x + a.width
        && a.y + 2 < b.y + b.height && b.y + 2 < a.y + a.height;
    const later = (a, at) => boxes.slice(at + 1).filter((b) => cross(a.box, b.box));
    const found = boxes.flatMap((a, at) => later(a, at).map((b) => [a.text, b.text]));
    return { texts: boxes.map((one) => one.text), found };
}"""
"""Labels of the lineage's tree, and the pairs of them that lie on each other."""


@pytest.mark.parametrize("page", ["wide-light", "phone-light"], indirect=True)
def test_lineage_says_what_is_partial_and_no_label_lies_on_another(page: Page, tmp_path: Path):
    archive = archive_of_references(tmp_path / "search")
    parent = "delta_net_4layer"
    for depth in range(7):
        names = [f"delta_net_4layer_a_long_name_of_generation_{depth}_{child}_in_for_loop" for child in range(3)]
        for name in names:
            status = Status.SCORED if name == names[0] else Status.INTERRUPTED
            archive.tell(record_of(name, status, accuracy=0.6, parent=parent), REPORT)
        parent = names[0]
    record = record_of("delta_net_4layer_part_in_for_loop", accuracy=0.9)
    own = tuple(trial for trial in record.trials if trial.task == "Memorize")
    archive.tell(record.model_copy(update={"trials": own, "scorecard": scorecard(own)}), REPORT)
    build(archive, tmp_path / "site", lambda done, total: None)
    page.goto(f"file://{tmp_path}/site/{VIEWS[1]}")
    page.wait_for_function(DRAWN)
    found = page.evaluate(OVERLAPS)
    assert found["found"] == []
    assert len(found["texts"]) > (8 if page.viewport_size == SIZES["wide"] else 1)
    assert any("1 of 6 tasks" in text for text in found["texts"])
    expect(page.locator("#outline-tree")).to_contain_text("part 1 of 6 tasks")


@pytest.mark.parametrize("page", ["wide-light"], indirect=True)
def test_scripts_round_as_python_does(page: Page, site: Path):
    page.goto(f"file://{site}/index.html")
    values = [n / 1280 for n in range(1281)] + [n / 64 for n in range(65)]
    assert page.evaluate("(values) => values.map(archer.accuracy)", values) == [accuracy(x) for x in values]
    gaps = [x - 0.5 for x in values] + [0.0001, -0.0004]
    told = [text.replace("−", "-") for text in page.evaluate("(values) => values.map(archer.signed)", gaps)]
    assert told == [signed(x) for x in gaps]
