"""Time to build the site of a large archive, whole and after one more proposal, and how quick its pages are.

    python -m benchmarks.site --like ARCHIVE               # makes the archive in a temporary folder, and removes it
    python -m benchmarks.site --like ARCHIVE --keep DIR

The archive is made of the records of a real one (--like), renumbered and renamed, with other scores and every status:
folders as large as real ones, 500 to a commit.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.site.build import Built, build
from archive.records.folders import write_record
from archive.records.record import Record
from archive.seeding import make_archive
from archive.store import Archive
from evaluator.outcomes import Status, Verdict
from evaluator.statistics.scorecards import scorecard
from variants.contract import Variant
from variants.seeds import seed_variants

SHARES = {Status.SCORED: 70, Status.REJECTED: 12, Status.DUPLICATE: 8, Status.FAILED: 6, Status.PRUNED: 4}
STEP = 500
"""Proposals a commit."""


def main() -> None:
    """Make the archive, build its site, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--proposals", type=int, default=10_000)
    parser.add_argument("--like", type=Path, required=True, help="an archive with at least one SCORED proposal")
    parser.add_argument("--keep", type=Path, help="keep archive and site in this folder")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="time the overview in it")
    chosen = parser.parse_args()
    folder = chosen.keep or Path(tempfile.mkdtemp(prefix="archer-site-"))
    try:
        print(json.dumps(measure(chosen.proposals, chosen.like, folder, chosen.chromium), indent=2))
    finally:
        if chosen.keep is None:
            shutil.rmtree(folder)


def measure(count: int, like: Path, folder: Path, chromium: str | None) -> dict[str, Any]:
    """Seconds of CPU and wall for each build, sizes, and the browser's times."""
    root, site = folder / "search", folder / "site"
    source = Archive(like)
    models = [record for record in source.records() if record.status is Status.SCORED]
    reports = {model.id: source.report(model) for model in models}
    if not root.exists():
        make_archive(root)
        tell_many(root, models, reports, count)
    found: dict[str, Any] = {"proposals": count, "whole": timed(lambda: build(Archive(root), site, silent))}
    found["nothing new"] = timed(lambda: build(Archive(root), site, silent))
    tell_many(root, models, reports, 1, first=count + 1)
    found["one more"] = timed(lambda: build(Archive(root), site, silent))
    pages = [path.stat().st_size for path in (site / "proposals").glob("*.html")]
    found["megabytes"] = {
        "archive": megabytes(root / "proposals"),
        "site": megabytes(site),
        "one page": round(sum(pages) / len(pages) / 1e6, 3),
        "overview's data": max(path.stat().st_size for path in (site / "data").glob("*.js")) / 1e6,
    }
    if chromium:
        found["browser, s"] = browse(site, chromium)
    return found


def tell_many(root: Path, models: list[Record], reports: dict[str, str], count: int, first: int = 1) -> None:
    """Archive `count` records like the models, with reports like theirs (by id), in few commits."""
    dice = random.Random(first)
    names = list(seed_variants())
    for start in range(first, first + count, STEP):
        for number in range(start, min(start + STEP, first + count)):
            model = dice.choice(models)
            record = another(model, number, names, dice)
            write_record(
                root, record, reports[model.id].replace(model.proposal.variant.name, record.proposal.variant.name)
            )
            if record.status is Status.SCORED:
                names.append(record.proposal.variant.name)
        for command in (["add", "--all"], ["-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qm", f"{start}"]):
            subprocess.run(["git", "-C", str(root), *command], check=True)


def another(model: Record, number: int, names: list[str], dice: random.Random) -> Record:
    """A record of another number, name, parent, status and result."""
    proposal = model.proposal
    name = f"delta_net_4layer_idea_{number}_in_for_loop"
    source = proposal.variant.source.replace('"""', f'"""Idea {number}. ', 1)
    variant = Variant(name=name, source=source)
    status = dice.choices(list(SHARES), list(SHARES.values()))[0]
    shift = {task: dice.gauss(0, 0.05) for task in proposal.predictions}
    trials = tuple(
        trial.model_copy(
            update={
                "variant": name,
                "source_hash": variant.source_hash,
                "accuracy": min(1.0, max(0.0, (trial.accuracy or 0.0) + shift.get(trial.task, 0.0))),
            }
        )
        for trial in model.trials
    )
    origin = proposal.provenance.model_copy(update={"seed": number})
    changes = {"variant": variant, "parent": dice.choice(names), "title": f"{proposal.title} ({number})"}
    scored = status is Status.SCORED
    return model.model_copy(
        update={
            "number": number,
            "predicted": None,
            "proposal": proposal.model_copy(update={**changes, "provenance": origin}),
            "status": status,
            "reason": "" if scored else "as a reason would say",
            "trials": trials if scored else (),
            "scorecard": scorecard(trials) if scored else None,
            "verdicts": tuple(shifted(verdict, shift) for verdict in model.verdicts) if scored else (),
        }
    )


def shifted(verdict: Verdict, shift: dict[Any, float]) -> Verdict:
    """The verdict with its differences moved, and called as their intervals then say."""
    moved = {}
    for task, found in verdict.tasks.items():
        by = shift.get(task, 0.0)
        low, high = found.low + by, found.high + by
        outcome = "better" if low > 0 else "worse" if high < 0 else "indistinguishable"
        moved[task] = found.model_copy(
            update={"outcome": outcome, "low": low, "high": high, "difference": found.difference + by}
        )
    return verdict.model_copy(update={"tasks": moved})


def timed(work: Callable[[], Built]) -> dict[str, float]:
    """CPU seconds of this process and those that it waited for, wall seconds, and files written."""
    cpu, wall = sum(os.times()[:4]), time.monotonic()
    built = work()
    return {
        "cpu_s": round(sum(os.times()[:4]) - cpu, 2),
        "wall_s": round(time.monotonic() - wall, 2),
        "written": built.written,
    }


def browse(site: Path, chromium: str) -> dict[str, float]:
    """Seconds until the overview is there and idle, and what a sort, a search and a page take in its script."""
    from playwright.sync_api import sync_playwright

    script = """(act) => { const from = performance.now(); act === 'sort'
        ? document.querySelector('#board thead th:nth-child(5) button').click()
        : act === 'search' ? (() => { const box = document.querySelector('[name=text]'); box.value = 'idea_77';
            box.dispatchEvent(new Event('input', { bubbles: true })); })()
        : document.querySelector('#pager [data-step="1"]').click();
        document.body.offsetHeight; return (performance.now() - from) / 1000; }"""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = opened.new_page()
        times = {}
        for view in ("overview", "lineage", "front", "calibration"):
            name = next(site.glob(f"{view}-quick-*.html"))
            began = time.monotonic()
            page.goto(f"file://{name}", wait_until="load")
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
            times[view] = time.monotonic() - began
        page.goto(f"file://{site}/index.html", wait_until="load")
        times |= {act: page.evaluate(script, act) for act in ("sort", "next page", "search")}
        opened.close()
    return {name: round(seconds, 3) for name, seconds in times.items()}


def megabytes(folder: Path) -> float:
    """Size of all files below a folder."""
    return round(sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6, 1)


def silent(_done: int, _total: int) -> None:
    """No progress: it is not what is measured."""


if __name__ == "__main__":
    main()
