"""Screenshots of an archive's site for docs/screenshots: light and dark, desktop and phone.

archer report --out /tmp/site && python -m benchmarks.screenshots /tmp/site docs/screenshots
"""

import argparse
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

SIZES = {"desktop": {"width": 1200, "height": 900}, "phone": {"width": 390, "height": 844}}
SHOTS = [
    ("overview", "desktop", "light"),
    ("overview", "phone", "dark"),
    ("proposal", "desktop", "dark"),
    ("proposal", "phone", "light"),
    ("lineage", "desktop", "light"),
    ("front", "desktop", "dark"),
    ("calibration", "desktop", "light"),
]


def main() -> None:
    """Take them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--proposal", type=int, default=4)
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chosen.chromium, args=["--no-sandbox", "--disable-gpu"])
        for view, size, scheme in SHOTS:
            found = (
                chosen.site / "proposals" / f"{chosen.proposal:04d}.html"
                if view == "proposal"
                else next(chosen.site.glob(f"{view}-{chosen.protocol}-*.html"))
            )
            page = browser.new_page(viewport=SIZES[size], color_scheme=scheme)
            page.goto(f"file://{found.resolve()}")
            page.wait_for_timeout(500)
            height = 2000 if size == "desktop" else 2400
            page.set_viewport_size({"width": SIZES[size]["width"], "height": height})
            page.wait_for_timeout(500)
            path = chosen.out / f"{view}-{size}-{scheme}.png"
            page.screenshot(path=path)
            page.close()
            Image.open(path).quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
            print(path)
        browser.close()


if __name__ == "__main__":
    main()
