"""Which names a kernel's chunk loop carries from one chunk to the next, found by parsing.

A name is carried if the loop changes it, an iteration may read it before it binds it anew, and something else than its
own update reads it. So an output is not carried, be it a list that is appended to, a tensor that is written by index,
or one that grows by `torch.cat`; nor is a name that each iteration binds before it reads it. What is held under a name
that the loop itself does not change (a view of a buffer, the variable of a function inside the kernel) is not seen.
"""

import ast
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from variants.source import chunk_loop

MUTATORS = frozenset({"append", "appendleft", "clear", "extend", "insert", "pop", "popleft", "remove", "reverse"})
"""Methods that change a container; those that change a tensor end in an underscore."""
_LEAVES = (ast.Break, ast.Continue, ast.Raise, ast.Return)
_SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Carried(NamedTuple):
    """Names in the order of their first use; and the lines, first and last, of the head of the loop."""

    names: tuple[str, ...]
    head: tuple[int, int]


def carried(source: str) -> Carried | None:
    """What the chunk loop carries; None where there is no loop, or a function inside the kernel may change names."""
    found = chunk_loop(source)
    if found is None or any(isinstance(node, (ast.Nonlocal, ast.Global)) for node in ast.walk(found[1])):
        return None
    _, kernel, loop = found
    own = {argument.arg for argument in ast.walk(kernel.args) if isinstance(argument, ast.arg)} | _bound([kernel])
    uses = _Uses(own)
    uses.block(loop.body, _bound([loop.target]))
    kept = uses.exposed & uses.changed & uses.used & own
    order = dict.fromkeys(node.id for node in ast.walk(loop) if isinstance(node, ast.Name))
    head = (loop.lineno, max(loop.lineno, loop.iter.end_lineno or 0))
    return Carried(tuple(name for name in order if name in kept), head)


class _Uses:
    """How one iteration uses names; `own` are those of the kernel, and `bound` those bound in the iteration so far.

    An inner loop is taken to run once or more.
    """

    def __init__(self, own: set[str]) -> None:
        self.own = own
        self.exposed: set[str] = set()
        """Read, or changed in part, before they were bound in the iteration."""
        self.changed: set[str] = set()
        self.used: set[str] = set()
        """Read by something else than an update of the name itself."""

    def block(self, body: Sequence[ast.stmt], bound: set[str]) -> set[str]:
        """Follow statements; what is bound after them."""
        for statement in body:
            bound = self.statement(statement, bound)
        return bound

    def statement(self, node: ast.stmt, bound: set[str]) -> set[str]:
        """Follow one statement; what is bound after it."""
        match node:
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                return self._assignment(node, bound)
            case ast.Expr(value=ast.Call() as call):
                self._reads([call], bound, own=self._changed_by(call))
                return bound | _bound([call])
            case ast.If():
                self._reads([node.test], bound)
                bound = bound | _bound([node.test])
                return self._either((node.body, node.orelse), bound)
            case ast.For():
                self._reads([node.iter], bound)
                self.changed |= _bound([node.target])
                return self.block(node.orelse, self.block(node.body, bound | _bound([node.target])))
            case ast.While():
                self._reads([node.test], bound)
                return self.block(node.orelse, self.block(node.body, bound | _bound([node.test])))
            case ast.With():
                self._reads([item.context_expr for item in node.items], bound)
                return self.block(node.body, bound | _bound(item.optional_vars for item in node.items))
            case _:  # of what is left none binds for sure
                self._reads([node], bound)
                return bound

    def _either(self, branches: Iterable[Sequence[ast.stmt]], bound: set[str]) -> set[str]:
        """What is bound after either of the branches, but for those that leave the iteration."""
        ends = [(branch, self.block(branch, bound)) for branch in branches]
        staying = [end for branch, end in ends if not _leaves(branch)]
        return set.intersection(*staying) if staying else bound

    def _assignment(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, bound: set[str]) -> set[str]:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target, value in _pairs(targets, node.value):
            name = target.id if isinstance(target, ast.Name) else None
            if target is not None and name is None and (root := _root(target)) is not None:
                self.changed.add(root)  # by index or attribute: a part of it
                self._reads([target], bound, own={root})
            elif isinstance(node, ast.AugAssign) and name is not None and name not in bound:
                self.exposed.add(name)
            self._reads([value], bound, own=set() if name is None else {name})
        fresh = _bound([*targets, node.value])
        self.changed |= fresh
        return bound | fresh

    def _reads(self, nodes: Iterable[ast.AST | None], bound: set[str], own: Iterable[str] = ()) -> None:
        """Note what is read and changed within; own: names whose reads here are part of their own update."""
        whole = [found for node in nodes if node is not None for found in ast.walk(node)]
        inner = {name for node in whole if isinstance(node, _SCOPES) for name in _parameters(node)}
        read = {node.id for node in whole if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)} - inner
        self.exposed |= read - bound
        self.used |= read - set(own)
        self.changed |= {name for node in whole if isinstance(node, ast.Call) for name in self._changed_by(node)}
        self.changed |= {node.id for node in whole if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}

    def _changed_by(self, call: ast.Call) -> set[str]:
        """Names that a call changes: `S.add_(x)`, `o.append(x)`, `torch.relu_(S)`, `torch.add(S, x, out=S)`."""
        found = {_root(word.value) for word in call.keywords if word.arg == "out"}
        if isinstance(call.func, ast.Attribute) and (_in_place(call.func.attr) or call.func.attr in MUTATORS):
            found.add(_root(call.func))
            if found.isdisjoint(self.own):  # a function of a module
                found |= {_root(argument) for argument in call.args[:1]}
        return {name for name in found if name is not None}


def _pairs(targets: Sequence[ast.expr], value: ast.expr | None) -> list[tuple[ast.expr | None, ast.expr | None]]:
    """Each target with its value: that of its place where both are tuples. A value for several targets has none."""
    single = [each for target in targets for each in (target.elts if isinstance(target, ast.Tuple) else [target])]
    if len(targets) == 1 and isinstance(value, ast.Tuple) and len(value.elts) == len(single):
        return list(zip(single, value.elts, strict=True))
    if len(single) == 1:
        return [(single[0], value)]
    return [(None, value), *((each, None) for each in single)]


def _in_place(method: str) -> bool:
    return method.endswith("_") and not method.endswith("__")


def _root(node: ast.expr) -> str | None:
    """The name that a chain of attributes, indices and calls begins with."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _bound(nodes: Iterable[ast.AST | None]) -> set[str]:
    found = (each for node in nodes if node is not None for each in ast.walk(node))
    return {each.id for each in found if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _parameters(scope: ast.AST) -> set[str]:
    """Names that a function or a comprehension has of its own."""
    if isinstance(scope, (ast.FunctionDef, ast.Lambda)):
        return {node.arg for node in ast.walk(scope.args) if isinstance(node, ast.arg)} | _bound([scope])
    return _bound(generator.target for generator in scope.generators)  # type: ignore[attr-defined]


def _leaves(branch: Sequence[ast.stmt]) -> bool:
    return bool(branch) and isinstance(branch[-1], _LEAVES)
