"""How quick the pages of a site are in Chromium: `python -m benchmarks.site SITE`.

SITE is a folder that `archer report --out SITE` made; `python -m benchmarks.scale` makes such folders of large
archives, and measures what that costs. Prints one JSON document: seconds until each page of the largest board is drawn
and idle, read from disk by a new browser; seconds of a sort, a search and the next page; and the memory of the page's
script. With `--times 10`, a copy is measured in which the rows of that board are there ten times, under other names.
"""

import argparse
import json
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

VIEWS = ("overview", "lineage", "front", "calibration")
ACTS = {
    "sort": "document.querySelector('#board thead th:nth-child(5) button').click()",
    "search": "const box = document.querySelector('[name=text]'); box.value = '77'; "
    "box.dispatchEvent(new Event('input', { bubbles: true }))",
    "next page": "document.querySelector('#pager [data-step=\"1\"]').click()",
}
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser; else that of the PATH")
    parser.add_argument("--times", type=int, default=1, help="repeat the rows so many times")
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "site"
        shutil.copytree(chosen.site, copy, ignore=shutil.ignore_patterns("proposals"))
        board = max((copy / "data").glob("*.js"), key=lambda path: path.stat().st_size)
        rows = repeat(board, chosen.times)
        print(json.dumps({"rows": rows, **browse(copy, board.stem, chosen.chromium)}, indent=2))


def repeat(board: Path, times: int) -> int:
    """Repeat the rows of a board's script under other names; returns how many there are then."""
    before, _, data = board.read_text().partition(" = ")
    content = json.loads(data.removesuffix(";\n"))
    content["rows"] = [
        row if not copy else row | {"name": f"{row['name']}_{copy}"} for copy in range(times) for row in content["rows"]
    ]
    board.write_text(f"{before} = {json.dumps(content, separators=(',', ':'))};\n")
    return len(content["rows"])


def browse(site: Path, board: str, chromium: str | None) -> dict[str, float]:
    """Seconds by page and by act, and `heap, MB` of the overview."""
    times = {}
    for view in VIEWS:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            began = time.monotonic()
            page.goto(f"file://{site}/{view}-{board}.html", wait_until="load")
            page.evaluate(DRAWN)
            times[view] = time.monotonic() - began
            if view == "overview":
                times |= {act: seconds(page, script) for act, script in ACTS.items()}
                times["heap, MB"] = page.evaluate("() => performance.memory.usedJSHeapSize") / 1e6
            browser.close()
    return {name: round(number, 3) for name, number in times.items()}


def seconds(page: Page, script: str) -> float:
    """What a script takes, with the layout that it asks for."""
    timed = (
        "const from = performance.now(); {script}; document.body.offsetHeight; return (performance.now() - from) / 1000"
    )
    return float(page.evaluate(f"() => {{ {timed.format(script=script)} }}"))


if __name__ == "__main__":
    main()
