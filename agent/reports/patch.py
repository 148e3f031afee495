"""A variant as a patch for flash-linear-attention's naive operator, which `git apply` takes."""

import ast
import difflib
from collections.abc import Sequence

from agent.errors import UserError
from variants.contract import Variant, short_name
from variants.parsing import parse


def new_file_patch(variant: Variant) -> tuple[str, str]:
    """Path in the checkout and a patch that adds the variant there as a file of its own, beside `naive.py`."""
    idea = short_name(variant.name)
    path = f"{variant.contract.operator}/naive_{idea}.py"
    return path, _patch(path, None, variant.source)


def replacement_patch(variant: Variant, path: str, old: str, given: str = "") -> str:
    """A patch to the file `old` at `path` that puts the variant's kernel in the place of the function of that name.

    Helpers of the variant stand before it; imports that the file lacks, after its own. Raises UserError for a file that
    has no such function, or that uses a name of the variant's for something else. `given`: the file's name for users.
    """
    given = given or path
    function = variant.contract.function
    target, source = _parsed(old, f"--against {given}"), _parsed(variant.source, variant.name)
    kernels = [node for node in target.body if isinstance(node, ast.FunctionDef) and node.name == function]
    if len(kernels) != 1:
        count = len(kernels) or "no"
        raise UserError(f"--against {given}: it has {count} function {function}; name another file, or none")
    moved = [node for node in source.body if not isinstance(node, ast.Import | ast.ImportFrom) and not _is_text(node)]
    if clash := sorted(_defined(moved) & (_defined(target.body) - {function})):
        raise UserError(
            f"--against {given}: it already uses the name {clash[0]} of {variant.name}; leave --against out"
        )
    imports = [
        ast.unparse(one)
        for node in source.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for one in _single(node)
        if ast.unparse(one) not in {ast.unparse(had) for own in target.body for had in _single(own)}
    ]
    lines, ending = old.splitlines(), "\r\n" if "\r\n" in old else "\n"
    begin, end = _span(kernels[0])
    ours = variant.source.splitlines()
    own = "\n\n\n".join("\n".join(ours[slice(*_span(node))]) for node in moved).splitlines()
    lines[begin:end] = own
    place = max((node.end_lineno or 0 for node in target.body if _single(node)), default=0)
    if place == 0 and target.body and _is_text(target.body[0]):
        place = target.body[0].end_lineno or 0
    if place > begin:
        raise UserError(f"--against {given}: it imports after {function}; move its imports to the top")
    lines[place:place] = imports
    new = ending.join(lines) + (ending if old.endswith("\n") else "")
    return _patch(path, old, new)


def _parsed(text: str, where: str) -> ast.Module:
    try:
        return parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{where} is no Python that can be parsed ({error}); name another file") from error


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _single(node: ast.stmt) -> list[ast.stmt]:
    """An import as imports of one name each."""
    if isinstance(node, ast.Import):
        return [ast.Import([name]) for name in node.names]
    if isinstance(node, ast.ImportFrom):
        return [ast.ImportFrom(node.module, [name], node.level) for name in node.names]
    return []


def _defined(body: Sequence[ast.stmt]) -> set[str]:
    """Names that statements bind at module level, imports left out."""
    found = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return found


def _span(node: ast.stmt) -> tuple[int, int]:
    """First line and line after the last, from 0, decorators included."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(found.lineno for found in decorators)]) - 1, node.end_lineno or node.lineno


def _patch(path: str, old: str | None, new: str) -> str:
    """A unified diff in git's form. Lines keep their ending; a missing last one is said as git says it."""
    before = [] if old is None else old.splitlines(keepends=True)
    head = [f"diff --git a/{path} b/{path}\n", *(["new file mode 100644\n"] if old is None else [])]
    names = ("/dev/null" if old is None else f"a/{path}", f"b/{path}")
    lines = difflib.unified_diff(before, new.splitlines(keepends=True), *names)
    return "".join([*head, *(x if x.endswith("\n") else f"{x}\n\\ No newline at end of file\n" for x in lines)])
