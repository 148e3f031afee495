"""The corpus is read strictly: whatever does not make a case is an error that says where."""

from pathlib import Path

import pytest

from tests.corpus.cases import CHEATERS, HONEST, CorpusError, parse, read

KERNEL = "--- tests/corpus/kernels/linear_attention.py\n"
CASE = "@@ noise | determinism | Adds noise.\n-    return o, S[:, :, -1]\n+    return o + torch.randn(1), S[:, :, -1]\n"
EXAMPLE = """# Two changes, an added empty line, a removed line.
--- tests/corpus/kernels/linear_attention.py

@@ example | shapes | Returns | twice.
+import math
 import torch
+
+TWO = math.sqrt(4)
...
-    return o, S[:, :, -1]
+    return TWO * o, S
"""
SOURCE = '''"""Returns | twice."""

import math
import torch

TWO = math.sqrt(4)


def delta_rule_chunkwise(q, k, v, beta, chunk_size=32):
    S = (k[..., None] * (beta[..., None] * v)[..., None, :]).cumsum(2)
    o = (q[..., None, :] @ S).squeeze(-2)
    return TWO * o, S
'''
MALFORMED = {
    "change that fits nowhere": (KERNEL + "@@ a | fence | A.\n     o = q @ S\n+    o = o + 1\n", "fits 0 places"),
    "change that fits part of a line": (KERNEL + "@@ a | fence | A.\n     return o\n+    pass\n", "fits 0 places"),
    "change that fits anywhere": (KERNEL + "@@ a | fence | A.\n+    o = o + 1\n", "fits 8 places"),
    "change of nothing": (KERNEL + "@@ a | fence | A.\n import torch\n", "changes nothing"),
    "case without a change": (KERNEL + "@@ a | fence | A.\n" + CASE, "changes nothing"),
    "no expectation": (KERNEL + "@@ a | A.\n+import os\n import torch\n", "what must stop it"),
    "no sentence": (KERNEL + "@@ a | fence | \n+import os\n import torch\n", "what must stop it"),
    "no kernel": (CASE, "without a kernel"),
    "unknown kernel": ("--- tests/corpus/kernels/other.py\n" + CASE, "no kernel tests/corpus/kernels/other.py"),
    "kernel without a docstring": ("--- Makefile\n" + CASE, "docstring"),
    "change before the first case": (KERNEL + "+import os\n" + CASE, "belongs to no case"),
    "line without a marker": (KERNEL + CASE + "o = o + 1\n", "starts with neither"),
}


def folder_of(path: Path, name: str, text: str) -> Path:
    path.mkdir(exist_ok=True)
    (path / name).write_text(text)
    return path


def test_source_is_the_sentence_and_the_changed_kernel() -> None:
    (case,) = parse(EXAMPLE, "example.diff")
    assert (case.variant.name, case.expected, case.sentence) == ("example", "shapes", "Returns | twice.")
    assert case.variant.source == SOURCE


def test_empty_kernel_is_for_whole_files() -> None:
    (case,) = parse("--- /dev/null\n@@ whole | syntax | Stops.\n+def f(\n", "example.diff")
    assert case.variant.source == '"""Stops."""\n\ndef f(\n'


@pytest.mark.parametrize(("text", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_case_is_refused(text: str, message: str) -> None:
    with pytest.raises(CorpusError, match=rf"^example\.diff: .*{message}"):
        list(parse(text, "example.diff"))


def test_unknown_layer_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "cheaters", "a.diff", KERNEL + CASE)
    assert list(read({folder: ("determinism",)})) == ["noise"]
    with pytest.raises(CorpusError, match=r"a\.diff: noise: 'determinism' is none of fence, causality"):
        read({folder: ("fence", "causality")})


@pytest.mark.parametrize("second", ["cheaters", "honest"])
def test_second_case_of_a_name_is_refused(tmp_path: Path, second: str) -> None:
    folders = dict.fromkeys([folder_of(tmp_path / "cheaters", "a.diff", KERNEL + CASE)], ("determinism",))
    folders[folder_of(tmp_path / second, "b.diff", KERNEL + CASE)] = ("determinism",)
    with pytest.raises(CorpusError, match=r"b\.diff: noise: there is a case of this name"):
        read(folders)


def test_other_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"noise\.py: the corpus is made of \.diff files only"):
        read({folder_of(tmp_path / "cheaters", "noise.py", SOURCE): ("determinism",)})


def test_no_case_was_lost() -> None:
    assert len(CHEATERS) >= 227
    assert len(HONEST) >= 52
