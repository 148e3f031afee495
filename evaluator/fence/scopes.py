"""Which names a scope binds, and to what: modules, functions and classes of the file, or values."""

import ast
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.ListComp, ast.SetComp, ast.DictComp,
          ast.GeneratorExp)  # fmt: skip


@dataclass
class Scope:
    """Names bound in one module, class, function or comprehension.

    modules: those that stand for a module's path. classes: the file's own. own: a function's first parameter, if it is
    never bound again.
    """

    kind: str
    outer: "Scope | None" = None
    values: set[str] = field(default_factory=set)
    modules: dict[str, str] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    own: str | None = None

    def find(self, name: str) -> "Scope | None":
        """The scope that a use of `name` in this scope refers to; None for builtins."""
        scope: Scope | None = self
        while scope is not None:
            skipped = scope.kind == "class" and scope is not self
            if not skipped and (name in scope.values or name in scope.modules):
                return scope
            scope = scope.outer
        return None

    @property
    def in_function(self) -> bool:
        """Whether names of this scope live for one call only."""
        return self.kind in ("function", "comprehension")


def bind(node: ast.AST, outer: Scope | None) -> Scope:
    """The scope that `node` opens, with every name that it binds."""
    scope = Scope(_kind(node), outer)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        scope.values |= {argument.arg for argument in arguments(node)}
    bindings = Counter(scope.values)
    for child in inside(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            scope.modules |= dict(_imported(child))
        else:
            bindings.update(_bound(child))
        if isinstance(child, ast.ClassDef):
            scope.classes[child.name] = child
    scope.values = set(bindings)
    if isinstance(node, ast.FunctionDef) and (taken := (*node.args.posonlyargs, *node.args.args)):
        scope.own = taken[0].arg if bindings[taken[0].arg] == 1 else None
    for child in inside(node):
        if isinstance(child, ast.Assign) and scope.kind != "class":  # there it could be had as an attribute
            _alias(child, bindings, scope)
    return scope


def dotted(node: ast.expr, scope: Scope) -> str | None:
    """The path that an expression such as `F.softmax` spells, if it starts at an imported name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    home = scope.find(node.id)
    if home is None or node.id not in home.modules:
        return None
    return ".".join([home.modules[node.id], *reversed(parts)])


def outlives(scope: Scope, name: str) -> bool:
    """Whether what this name stands for here outlives a call."""
    home = scope.find(name)
    return home is None or not home.in_function


def is_own(scope: Scope, name: str) -> bool:
    """Whether this name is here the first parameter of a function, and nothing else."""
    home = scope.find(name)
    return home is not None and home.own == name


def inherits(scope: Scope, name: str, attribute: str, known: Collection[str]) -> bool:
    """Whether this name is a class of the file's that has an attribute, none of the known, from a class of torch's."""
    home = scope.find(name)
    found = home.classes.get(name) if home else None
    bases = (dotted(base, scope) or "" for base in found.bases) if found else ()
    return attribute not in known and any(base.startswith("torch.") for base in bases)


def arguments(node: Function) -> list[ast.arg]:
    """All parameters of a function."""
    found = node.args
    rest = [argument for argument in (found.vararg, found.kwarg) if argument]
    return [*found.posonlyargs, *found.args, *found.kwonlyargs, *rest]


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Every node that belongs to the scope that `node` opens, nested scopes themselves but not what is in them."""
    pending = list(body(node))
    while pending:
        child = pending.pop()
        yield child
        pending.extend(edges(child) if isinstance(child, SCOPES) else ast.iter_child_nodes(child))


def body(node: ast.AST) -> Iterator[ast.AST]:
    """What is evaluated in the scope that `node` opens."""
    if isinstance(node, ast.Lambda):
        yield node.body
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
        yield from node.body
    else:
        yield from ast.iter_child_nodes(node)


def edges(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a nested scope that are evaluated in the enclosing one: decorators, defaults, bases."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from (*node.decorator_list, *node.args.defaults, *(d for d in node.args.kw_defaults if d))
        yield from (argument.annotation for argument in arguments(node) if argument.annotation)
        if node.returns:
            yield node.returns
    elif isinstance(node, ast.Lambda):
        yield from (*node.args.defaults, *(d for d in node.args.kw_defaults if d))
    elif isinstance(node, ast.ClassDef):
        yield from (*node.decorator_list, *node.bases, *node.keywords)
    else:  # a walrus in a comprehension binds outside of it
        yield from (child for child in ast.walk(node) if isinstance(child, ast.NamedExpr))


def _kind(node: ast.AST) -> str:
    if isinstance(node, ast.Module):
        return "module"
    if isinstance(node, ast.ClassDef):
        return "class"
    return "function" if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) else "comprehension"


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, f"{node.module}.{alias.name}"
        elif alias.asname:
            yield alias.asname, alias.name
        else:
            top = alias.name.partition(".")[0]
            yield top, top


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
        yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        yield from [node.name] if node.name else []
    elif isinstance(node, ast.MatchMapping):
        yield from [node.rest] if node.rest else []


def _alias(node: ast.Assign, bindings: Counter[str], scope: Scope) -> None:
    """Note `F = torch.nn.functional`: a name bound once, to a path, stands for it as an import would."""
    path = dotted(node.value, scope)
    for target in node.targets:
        if path is not None and isinstance(target, ast.Name) and bindings[target.id] == 1:
            scope.modules[target.id] = path
            scope.values.discard(target.id)
