"""The corpus: kernels that cheat, and honest kernels that look odd, each written as a patch of a kernel.

The files `cheaters/*.diff` and `honest/*.diff` hold the cases. A new case is an entry in one of them:

    --- tests/corpus/kernels/chunkwise.py       the kernel that the cases below change, until the next such line
    @@ import_os | fence | Reads the environment.       name | what must stop it | what it tries, in one sentence
    +import os                                          a line that the case adds
     import torch                                       a line of the kernel, to show where
    ...                                                 the next change begins
         o = o.flatten(2, 3)[:, :, :L]
    -    return o, S                                    a line of the kernel that the case removes
    +    return o + len(os.environ), S

What must stop a cheater is the name of a check (`evaluator.outcomes.CheckName`); an honest case says `pass`. The kernel
`/dev/null` is empty, for a case that is a whole file. The sentence becomes the docstring of the case's source. Empty
lines, and lines that start with #, are for the reader; an empty line of a source is a lone + or -.

    python -m tests.corpus.cases import_os      prints the source of a case, for `archer check`
"""

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from evaluator.outcomes import CheckName
from variants.contract import Variant

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
PASS = "pass"
FOLDERS: dict[Path, tuple[str, ...]] = {FOLDER / "cheaters": get_args(CheckName), FOLDER / "honest": (PASS,)}


class CorpusError(ValueError):
    """A file of the corpus that cannot be read as cases: says which file and which case, and what is wrong."""


@dataclass(frozen=True)
class Case:
    """One kernel of the corpus. `expected` is the name of the check that must fail, or `pass`."""

    expected: str
    sentence: str
    variant: Variant


def read(folders: Mapping[Path, Collection[str]]) -> dict[str, Case]:
    """All cases of these folders, by name; for each folder, what its cases may expect. Raises CorpusError."""
    cases: dict[str, Case] = {}
    for folder, allowed in folders.items():
        for path in sorted(folder.iterdir()):
            if path.suffix != ".diff":
                raise CorpusError(f"{path}: the corpus is made of .diff files only")
            for case in parse(path.read_text(encoding="utf-8"), str(path)):
                name = case.variant.name
                if name in cases:
                    raise CorpusError(f"{path}: {name}: there is a case of this name already")
                if case.expected not in allowed:
                    raise CorpusError(f"{path}: {name}: {case.expected!r} is none of {', '.join(allowed)}")
                cases[name] = case
    return cases


def parse(text: str, place: str) -> Iterator[Case]:
    """The cases of one file, in order. `place` names the file in errors. Raises CorpusError."""
    kernel: list[str] | None = None
    for block in re.split(r"^(?=--- |@@ )", text, flags=re.MULTILINE):
        head, *lines = [line for line in block.split("\n") if line and not line.startswith("#")] or [""]
        if head.startswith("--- ") and not lines:
            kernel = _kernel(head.removeprefix("--- "), place)
        elif head.startswith("@@ ") and kernel is not None:
            yield _case(head.removeprefix("@@ "), lines, kernel, place)
        elif head:
            raise CorpusError(f"{place}: {(lines or [head])[0]!r} belongs to no case, or to a case without a kernel")


def _kernel(name: str, place: str) -> list[str]:
    """Lines of a kernel after its docstring."""
    if name == "/dev/null":
        return []
    path = ROOT / name
    if not path.is_file():
        raise CorpusError(f"{place}: there is no kernel {name}")
    docstring, end, body = path.read_text(encoding="utf-8").partition('"""\n\n')
    if not docstring.startswith('"""') or not end:
        raise CorpusError(f"{place}: the kernel {name} does not start with a docstring and an empty line")
    return body.removesuffix("\n").split("\n")


def _case(head: str, lines: list[str], kernel: list[str], place: str) -> Case:
    name, *rest = head.split(" | ", 2)
    place = f"{place}: {name}"
    if len(rest) != 2 or not all(rest):
        raise CorpusError(f"{place}: a case starts with '@@ name | what must stop it | one sentence'")
    expected, sentence = rest
    source = [f'"""{sentence}"""', "", *_patched(kernel, lines, place), ""]
    return Case(expected, sentence, Variant(name=name, source="\n".join(source)))


def _patched(kernel: list[str], lines: list[str], place: str) -> list[str]:
    """The kernel with every change applied. The kept and removed lines of a change must stand in it exactly once."""
    source = list(kernel)
    for change in _changes(lines, place):
        old = [line[1:] for line in change if line[0] != "+"]
        new = [line[1:] for line in change if line[0] != "-"]
        starts = [i for i in range(len(source) - len(old) + 1) if source[i : i + len(old)] == old]
        if old == new:
            raise CorpusError(f"{place}: a change without + or - changes nothing")
        if len(starts) != 1:
            raise CorpusError(f"{place}: the change {change[0]!r} ... fits {len(starts)} places of the kernel, not one")
        source[starts[0] : starts[0] + len(old)] = new
    return source


def _changes(lines: list[str], place: str) -> list[list[str]]:
    """The lines of a case, split at '...'."""
    changes: list[list[str]] = [[]]
    for line in lines:
        if line == "...":
            changes.append([])
        elif line[0] in " +-":
            changes[-1].append(line)
        else:
            raise CorpusError(f"{place}: {line!r} starts with neither +, - nor a space")
    return changes


CASES = read(FOLDERS)
CHEATERS = {name: case for name, case in CASES.items() if case.expected != PASS}
HONEST = {name: case for name, case in CASES.items() if case.expected == PASS}


if __name__ == "__main__":
    sys.stdout.write(CASES[sys.argv[1]].variant.source)
