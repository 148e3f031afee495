"""How long it takes to find a fingerprint among many: python -m benchmarks.lookup [--n 100000]

Stands for an archive of n proposals: fingerprints made of those of the seeds, most of them alike in whole blocks (what
cannot differ there) or off by a little. CPU times: one look-up in the index, hits and misses; the same by comparing one
after the other, as before the index; building the index; reading the kept file of an archive; and reading the times of
change of its folders, which decide what is new.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from agent.search.fingerprint_index import SHIPPED, _keep, _load, _stamps
from evaluator.checks.fingerprint import PROBES, PROJECTIONS, TOLERANCE, WIDTH, FingerprintTable, Prints, same

QUERIES = 2_000
BLOCK = 2 * PROJECTIONS


def main() -> None:
    """Make, look up, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000)
    n = parser.parse_args().n
    chance = np.random.default_rng(0)
    prints, names = made_up(n, chance), [f"delta_net_4layer_x{i}_in_for_loop" for i in range(n)]
    began = time.process_time()
    index = FingerprintTable(names, prints)
    build = time.process_time() - began
    wanted = chance.integers(n, size=QUERIES)
    noise = 1 + 0.2 * TOLERANCE * chance.uniform(-1, 1, (QUERIES, WIDTH))
    noise[:, 0] = 1
    hits = timed(index, prints[wanted] * noise, expected=[names[i] for i in wanted])
    misses = timed(index, made_up(QUERIES, chance) * 1.01, expected=None)
    began = time.process_time()
    assert not any(same(row, tuple(prints[0] * 1.5)) for row in map(tuple, prints[: n // 100].tolist()))
    one_by_one = 100 * (time.process_time() - began)
    read = reading_time(names, prints)
    print(f"| {n:,} fingerprints of {WIDTH} numbers | median | 99 % | largest |\n|---|---:|---:|---:|")
    for what, found in (("look-up, known", hits), ("look-up, new", misses)):
        print(f"| {what} | {np.median(found):.2f} ms | {np.quantile(found, 0.99):.2f} ms | {max(found):.2f} ms |")
    print(f"| one after the other (a hundredth measured) | {1000 * one_by_one:.0f} ms | | |")
    print(f"| building the index, once a command | {1000 * build:.0f} ms | | |")
    print(f"| reading the kept file, once a command | {1000 * read:.0f} ms | | |")
    print(f"| reading the folders' times of change, once a command | {1000 * listing_time(names):.0f} ms | | |")


def made_up(n: int, chance: np.random.Generator) -> Prints:
    """Rows of the seeds, of which each block of a probe is kept, moved a little or redrawn."""
    seeds = np.array(list(json.loads(SHIPPED.read_text(encoding="utf-8"))["prints"].values()))
    rows = seeds[chance.integers(len(seeds), size=n)]
    for probe in range(len(PROBES)):
        block = slice(1 + probe * BLOCK, 1 + (probe + 1) * BLOCK)
        moved = chance.choice([0.0, 1e-3, 1.0], size=(n, 1), p=[0.5, 0.25, 0.25])
        rows[:, block] *= 1 + moved * chance.normal(size=(n, BLOCK))
    rows[:, -1] *= 1 + chance.uniform(0.01, 1, n)  # no two are the same
    return rows


def timed(index: FingerprintTable, queries: Prints, expected: list[str] | None) -> list[float]:
    """Milliseconds of each look-up; each must find what is expected."""
    taken = []
    for i, query in enumerate(queries):
        began = time.process_time()
        found = index.find(query)
        taken.append(1000 * (time.process_time() - began))
        assert found == (expected[i] if expected else None), (i, found)
    return taken


def reading_time(names: list[str], prints: Prints) -> float:
    """Seconds to read what `archer` keeps of an archive of so many proposals, the disk being warm."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kept.npz"
        _keep(path, {f"{i:04d}-{name}": i for i, name in enumerate(names)}, prints)
        began = time.process_time()
        stamps, rows = _load(path)
        assert len(stamps) == len(rows) == len(names)
        return time.process_time() - began


def listing_time(names: list[str]) -> float:
    """Seconds to see which of so many proposals changed, the disk being warm; empty files stand for their folders."""
    with tempfile.TemporaryDirectory() as folder:
        for i, name in enumerate(names):
            (Path(folder) / f"{i:04d}-{name}").touch()
        began = time.process_time()
        assert len(_stamps(Path(folder))) == len(names)
        return time.process_time() - began


if __name__ == "__main__":
    main()
