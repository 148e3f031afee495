"""What may stand at a variant's top level: imports, definitions and values that nothing can change."""

import ast
from collections.abc import Iterator

from evaluator.fence.names import words
from evaluator.fence.scopes import Scope, arguments, dotted

CONSTRUCTORS = words("abs bool complex float frozenset int max min pow range round str sum tuple")
MAKERS = frozenset(
    {"torch.finfo", "torch.iinfo", "torch.device", "typing.TypeVar", "typing.NewType", "collections.namedtuple",
     "functools.partial", "operator.itemgetter", "dataclasses.field", "enum.auto"}
)  # fmt: skip
TABLE_MAKERS = words("dict list set")
DECORATORS = frozenset(
    {"torch.no_grad", "torch.enable_grad", "torch.inference_mode", "torch.autocast", "torch.amp.autocast",
     "functools.wraps", "dataclasses.dataclass", "torch.autograd.function.once_differentiable"}
)  # fmt: skip
BUILTIN_DECORATORS = frozenset({"staticmethod", "classmethod", "property"})
CONSTANT_NODES = (ast.Constant, ast.Lambda, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp,
                  ast.JoinedStr, ast.FormattedValue, ast.Starred, ast.Slice)  # fmt: skip
TABLE_NODES = (ast.List, ast.Dict, ast.Set)

Problem = tuple[ast.AST, str]


class Immutable:
    """Judges which expressions at the top level give values that nothing can change.

    tables: names of lists, dicts and sets of constants, allowed as long as they are only read.
    wrappers: functions of the file that may decorate others.
    """

    def __init__(self, scope: Scope, wrappers: frozenset[str] = frozenset()) -> None:
        self.scope = scope
        self.tables: set[str] = set()
        self.wrappers = wrappers

    def holds(self, node: ast.expr) -> bool:
        """Whether the expression's value can never change."""
        if isinstance(node, ast.Name):
            return node.id not in self.tables
        if isinstance(node, ast.Lambda):
            return True
        if isinstance(node, CONSTANT_NODES):
            return all(self.holds(child) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr))
        if isinstance(node, ast.Attribute):
            return dotted(node, self.scope) is not None or self.holds(node.value)
        if isinstance(node, ast.Subscript):  # Tuple[Tensor, Tensor], Callable[[Tensor], Tensor]
            return self.holds(node.value)
        return isinstance(node, ast.Call) and self._call(node)

    def wraps_only(self, decorator: ast.expr) -> bool:
        """Whether this is a decorator of the file that only wraps what it is given."""
        return isinstance(decorator, ast.Name) and decorator.id in self.wrappers

    def is_table(self, node: ast.expr) -> bool:
        """Whether this is a list, dict or set whose elements can never change."""
        if isinstance(node, ast.Call):
            return self._builtin(node.func, TABLE_MAKERS) and self._given(node, tables=1)
        children = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        return isinstance(node, TABLE_NODES) and all(self.holds(child) for child in children)

    def _call(self, node: ast.Call) -> bool:
        path = dotted(node.func, self.scope)
        if path is not None:
            known = path in MAKERS or path.startswith("math.")
            return known and self._given(node, tables=int(path == "collections.namedtuple"))
        return self._builtin(node.func, CONSTRUCTORS) and self._given(node, tables=1)

    def _given(self, call: ast.Call, tables: int) -> bool:
        """Whether a call is given what holds; its first so many tables are read, a later one might be handed on."""
        arguments = (*call.args, *(keyword.value for keyword in call.keywords))
        loose = [x for x in arguments if not self.holds(x)]
        return len(loose) <= tables and all(self.is_table(x) for x in loose)

    def _builtin(self, node: ast.expr, known: frozenset[str]) -> bool:
        """Whether this names one of these builtins, and nothing of the file's own of that name."""
        return isinstance(node, ast.Name) and node.id in known and self.scope.find(node.id) is None

    def decorates(self, node: ast.expr) -> bool:
        """Whether a decorator keeps nothing between calls."""
        called = node.func if isinstance(node, ast.Call) else node
        known = self._builtin(called, BUILTIN_DECORATORS) or dotted(called, self.scope) in DECORATORS
        given = not isinstance(node, ast.Call) or self._given(node, tables=0)
        return (known and given) or self.wraps_only(node)


def drop_main_guard(tree: ast.Module) -> ast.Module:
    """The module without `if __name__ == "__main__":`, which never runs in archer."""
    return ast.Module([node for node in tree.body if not _is_main_guard(node)], tree.type_ignores)


def declared_fields(tree: ast.Module) -> frozenset[str]:
    """Names of the attributes that classes of this file declare, in their bodies or through self."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            fields = (child.target for child in node.body if isinstance(child, ast.AnnAssign))
            found |= {target.id for target in fields if isinstance(target, ast.Name)}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            found.add(node.attr)
    return frozenset(found)


def stateless_wrappers(tree: ast.Module) -> frozenset[str]:
    """Functions of the file that define an inner function, return it, and have nothing that could keep state."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return frozenset(node.name for node in functions if _only_wraps(node))


def _only_wraps(function: ast.FunctionDef) -> bool:
    allowed = (ast.FunctionDef, ast.Return)
    texts = [x for x in function.body if isinstance(x, ast.Expr) and isinstance(x.value, ast.Constant)]
    inner = [node for node in function.body if isinstance(node, ast.FunctionDef)]
    defaults = [default for node in inner for default in (*node.args.defaults, *node.args.kw_defaults) if default]
    plain = all(isinstance(node, allowed) or node in texts for node in function.body)
    plain = plain and not any(isinstance(node, ast.Nonlocal) for node in ast.walk(function))
    returned = function.body[-1].value if isinstance(function.body[-1], ast.Return) else None
    fixed = all(isinstance(default, ast.Constant) for default in defaults)
    return plain and fixed and isinstance(returned, ast.Name) and returned.id in {node.name for node in inner}


def check_top_level(tree: ast.Module, immutable: Immutable) -> list[Problem]:
    """Problems among the statements that run at import, class bodies and decorators included."""
    return [problem for node in tree.body for problem in _statement(node, immutable)]


def _statement(node: ast.stmt, immutable: Immutable) -> Iterator[Problem]:
    yield from ((run, "a call that runs at import") for run in _evaluated(node) if not immutable.holds(run))
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass | ast.Assert):
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield from _decorators(node, immutable)
        if isinstance(node, ast.ClassDef):
            yield from _class(node, immutable)
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        yield from _assignment(node, immutable)
    elif isinstance(node, ast.If | ast.Try):
        yield from (problem for child in _branches(node) for problem in _statement(child, immutable))
    elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        yield node, f"a statement that runs at import ({type(node).__name__})"


def _evaluated(node: ast.stmt) -> Iterator[ast.expr]:
    """What a statement evaluates at import beside its own value: conditions, bases, annotations."""
    if isinstance(node, ast.If | ast.Assert):
        yield node.test
    elif isinstance(node, ast.Try):
        yield from (handler.type for handler in node.handlers if handler.type)
    elif isinstance(node, ast.ClassDef):
        yield from (*node.bases, *(keyword.value for keyword in node.keywords))
    elif isinstance(node, ast.FunctionDef):
        given = (argument.annotation for argument in arguments(node))
        yield from filter(_calls, filter(None, (*given, node.returns)))
    elif isinstance(node, ast.AnnAssign) and _calls(node.annotation):
        yield node.annotation


def _calls(annotation: ast.expr) -> bool:
    return any(isinstance(node, ast.Call) for node in ast.walk(annotation))


def _assignment(node: ast.Assign | ast.AnnAssign, immutable: Immutable) -> Iterator[Problem]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    named = [target.id for target in targets if isinstance(target, ast.Name)]
    if node.value is None or immutable.holds(node.value):
        return
    if immutable.is_table(node.value) and len(named) == len(targets):
        immutable.tables |= set(named)
    else:
        yield node, "module-level state: a value that can change outlives the call"


def _class(node: ast.ClassDef, immutable: Immutable) -> Iterator[Problem]:
    if any(keyword.arg == "metaclass" for keyword in node.keywords):
        yield node, "a metaclass"
    for child in node.body:
        if isinstance(child, ast.Assign | ast.AnnAssign) and child.value is not None:
            if not immutable.holds(child.value):
                yield child, "a class attribute that can change: it outlives the call"
        else:
            yield from _statement(child, immutable)


def _decorators(node: ast.FunctionDef | ast.ClassDef, immutable: Immutable) -> Iterator[Problem]:
    for decorator in node.decorator_list:
        if not immutable.decorates(decorator):
            yield decorator, f"the decorator {ast.unparse(decorator)}: it could keep state between calls; take it off"


def _branches(node: ast.If | ast.Try) -> list[ast.stmt]:
    handlers = node.handlers if isinstance(node, ast.Try) else []
    final = node.finalbody if isinstance(node, ast.Try) else []
    return [*node.body, *node.orelse, *final, *(child for handler in handlers for child in handler.body)]


def _is_main_guard(node: ast.stmt) -> bool:
    """Exactly these, and no branch for the other case: any other condition on the name might hold here."""
    guards = ("__name__ == '__main__'", "'__main__' == __name__")
    return isinstance(node, ast.If) and ast.unparse(node.test) in guards and not node.orelse
