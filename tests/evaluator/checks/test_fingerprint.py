"""Fingerprints: rewritings are one, ideas are two, and the index finds exactly what a comparison with all would."""

import json
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from archive.tables.leaderboard_csv import PUBLISHED
from evaluator.checks.fingerprint import (
    KEY_PROBE,
    LONG,
    PROBES,
    PROBES_HASH,
    PROJECTIONS,
    TOLERANCE,
    WIDTH,
    FingerprintTable,
    fingerprint,
    same,
    unscaled,
)
from evaluator.protocols.built_in import JUDGING
from evaluator.tasks.registry import fed_length
from variants.contract import BASELINE
from variants.seeds import seed_variants

KEY = 1 + 2 * PROJECTIONS * KEY_PROBE
SOURCE = seed_variants()[BASELINE].source
CONTRACT = seed_variants()[BASELINE].contract
READ, SCORES = "o_inter = q_i @ S  # [B, H, C, Dv]", "attn = (q_i @ k_i.mT).masked_fill(future, 0)  # [B, H, C, C]"
ERROR, OUT = "u_i = u_n[i] - w_n[i] @ S  # [B, H, C, Dv]", "o_n.append(o_inter + attn @ u_i)"
UPDATE = "S = S + k_i.mT @ u_i"

REWRITINGS: dict[str, dict[str, str]] = {
    "scale on the state": {
        "q = q * Dk**-0.5": "",
        READ: "o_inter = q_i @ (S * Dk**-0.5)",
        SCORES: "attn = (q_i @ (k_i.mT * Dk**-0.5)).masked_fill(future, 0)",
    },
    "other association": {OUT: "o_n.append(attn @ u_n[i] + (q_i - attn @ w_n[i]) @ S)"},
    "einsum": {READ: "o_inter = torch.einsum('bhcd,bhde->bhce', q_i, S)",
               UPDATE: "S = S + torch.einsum('bhcd,bhce->bhde', k_i, u_i)"},
    "chunk by chunk": {UPDATE: "S = S - k_i.mT @ (w_n[i] @ S) + k_i.mT @ u_n[i]"},
    "float32 inside": {"x.to(torch.promote_types(x.dtype, torch.float32))": "x.to(torch.float32)"},
    "float64 inside": {"x.to(torch.promote_types(x.dtype, torch.float32))": "x.to(torch.float64)"},
    "keys normalised again": {"q_i, k_i = q_n[i], k_n[i]": "q_i, k_i = q_n[i], F.normalize(k_n[i], dim=-1)"},
    "transposed state": {READ: "o_inter = (S.mT @ q_i.mT).mT"},
}  # fmt: skip
NEAR: dict[str, dict[str, str]] = {
    "decay 0.99": {UPDATE: "S = 0.99 * S + k_i.mT @ u_i"},
    "decay 0.9901": {UPDATE: "S = 0.9901 * S + k_i.mT @ u_i"},
    "scores up by 1/1000": {SCORES: "attn = 1.001 * (q_i @ k_i.mT).masked_fill(future, 0)"},
    "scores up by 1/500": {SCORES: "attn = 1.002 * (q_i @ k_i.mT).masked_fill(future, 0)"},
    "write up by 1/1000": {UPDATE: "S = S + 1.001 * (k_i.mT @ u_i)"},
    "errors clipped far out": {ERROR: "u_i = (u_n[i] - w_n[i] @ S).clamp(-60, 60)"},
    "gradient of the state stopped": {ERROR: "u_i = u_n[i] - w_n[i] @ S.detach()"},
    "gradient of the keys stopped": {UPDATE: "S = S + k_i.detach().mT @ u_i"},
    "first chunk differs": {SCORES: "attn = (q_i @ k_i.mT * (1.01 if i == 0 else 1)).masked_fill(future, 0)"},
    "late chunk differs": {SCORES: "attn = (q_i @ k_i.mT * (1.01 if i == 20 else 1)).masked_fill(future, 0)"},
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def print_of(changes: dict[str, str]) -> tuple[float, ...]:
    source = SOURCE
    for old, new in changes.items():
        assert old in source
        source = source.replace(old, new)
    scope: dict[str, Any] = {}
    exec(source, scope)
    return fingerprint(scope[CONTRACT.function], CONTRACT)


@pytest.fixture(scope="module")
def known() -> tuple[float, ...]:
    return print_of({})


@pytest.mark.parametrize("name", REWRITINGS)
def test_a_rewriting_is_the_same(name: str, known: tuple[float, ...]) -> None:
    found = print_of(REWRITINGS[name])
    assert len(found) == WIDTH
    assert same(found, known)


def test_near_twins_are_not(known: tuple[float, ...]) -> None:
    found = {"the baseline": known} | {name: print_of(changes) for name, changes in NEAR.items()}
    merged = [(a, b) for a, b in combinations(found, 2) if same(found[a], found[b])]
    assert not merged


def test_an_overflow_has_no_print() -> None:
    assert print_of({UPDATE: "S = 1e60 * S + k_i.mT @ u_i"}) == ()
    assert not same((), ())


def test_seeds_are_distinct_but_for_the_known_twin() -> None:
    shipped = json.loads(PUBLISHED.with_name("fingerprints.json").read_text())
    assert shipped["probes"] == PROBES_HASH, "protocols changed: python -m benchmarks.measure_seeds --fingerprints"
    prints = {name: shipped["prints"][variant.source_hash] for name, variant in seed_variants().items()}
    twins = [(a, b) for a, b in combinations(prints, 2) if same(prints[a], prints[b])]
    assert twins == [(BASELINE, "delta_net_4layer_normalize_keys_in_for_loop")]


def test_probes_have_the_shapes_of_the_protocols() -> None:
    plans = [plan for protocol in JUDGING for plan in protocol.tasks.values()]
    for size in {plan.chunk_size for plan in plans}:
        met = {fed_length(setting) for plan in plans if plan.chunk_size == size for setting in plan.settings}
        probed = {probe.shape[2] for probe in PROBES if probe.chunk_size == size}
        assert probed == {min(met), min(LONG, max(met)), max(met)}


@pytest.mark.slow
def test_the_index_finds_what_a_comparison_with_all_finds() -> None:
    chance = np.random.default_rng(5)
    base = chance.normal(size=(300, WIDTH))
    base[:, 0] = 4
    base[100:200, 1 : KEY + PROJECTIONS] = base[0, 1 : KEY + PROJECTIONS]  # alike in the first two probes, key included
    index = FingerprintTable([f"v{i}" for i in range(300)], base)
    for row in range(0, 300, 3):
        for size in (0.0, 0.5, 0.99, 4.0):
            asked = base[row] * (1 + size * TOLERANCE * chance.choice([-1, 1], WIDTH))
            asked[0] = 4
            slow = next((f"v{i}" for i in range(300) if same(tuple(base[i]), tuple(asked))), None)
            assert index.find(tuple(asked)) == slow
            if size < 0.5:
                assert slow == f"v{row}"
    gated = base[7].copy()
    gated[0] = 5
    assert index.find(tuple(gated)) is None, "a kernel of the gated layer is no twin of one of the other"
    assert index.find(tuple(base[7]), but="v7") is None
    assert index.find(()) is None


def test_the_oldest_of_several_twins_is_named() -> None:
    row = np.array([4.0, *np.random.default_rng(6).normal(size=WIDTH - 1)])
    near = np.array([4.0, *row[1:] * (1 - TOLERANCE / 9)])
    index = FingerprintTable(["first", "second"], np.stack([row, near]))
    assert index.find(tuple(row)) == "first"
    assert index.find(tuple(row), but="first") == "second"
    assert FingerprintTable([], np.empty((0, WIDTH))).find(tuple(row)) is None


def test_prints_are_compared_in_the_form_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    prints = np.random.default_rng(8).normal(size=(7, WIDTH))
    prints[:, 0] = 4
    names = [f"v{row}" for row in range(7)]
    ready = FingerprintTable(names, unscaled(prints))
    monkeypatch.setattr("evaluator.checks.fingerprint.SOME", 2)
    for asked in unscaled(np.concatenate([prints, 3 * prints[:, :1] + prints])):
        assert FingerprintTable(names, prints, unscaled).find(tuple(asked)) == ready.find(tuple(asked))
    doubled = prints[5] * 2
    doubled[0] = 4
    assert FingerprintTable(names, prints, unscaled).find(tuple(unscaled(doubled[None])[0])) == "v5"
    assert FingerprintTable(names, prints).find(tuple(doubled)) is None
