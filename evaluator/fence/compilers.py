"""Taking `torch.compile` off: a compiled kernel computes what it does as plain Python, and archer compiles none."""

import ast

from evaluator.fence.scopes import Scope, bind, dotted
from evaluator.fence.violation import Violation

COMPILERS = frozenset(
    {"torch.compile", "torch.compiler.compile", "torch.compiler.disable", "torch.compiler.allow_in_graph",
     "torch._dynamo.optimize", "torch._dynamo.disable", "torch._dynamo.allow_in_graph"}
)  # fmt: skip
"""Each gives back a function that computes what the one it was given does."""
MODULES = frozenset({"torch.compiler", "torch._dynamo"})


def without_compilers(tree: ast.Module) -> tuple[ast.Module, list[Violation]]:
    """The module without `torch.compile` and its like, as decorators and as calls, and where they stood.

    `@torch.compile(...)`, `f = torch.compile(f)`, `@partial(torch.compile, ...)`, `fast = torch.compile` with `@fast`.
    """
    found = _Compilers(bind(tree, None))
    tree = found.visit(tree)
    return tree, sorted(set(found.taken_off))


class _Compilers(ast.NodeTransformer):
    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.named: set[str] = set()
        self.taken_off: list[Violation] = []

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """Names for a compiler first: `fast = torch.compile(mode="max-autotune")`."""
        for child in node.body:
            if isinstance(child, ast.Assign) and self._compiles(child.value):
                self.named |= {target.id for target in child.targets if isinstance(target, ast.Name)}
        body = [kept for child in node.body if (kept := self._kept(child)) is not None]
        return ast.Module([self.visit(child) for child in body], node.type_ignores)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """`@torch.compile`, with arguments or without."""
        kept = []
        for decorator in node.decorator_list:
            if self._compiles(decorator):
                self.taken_off.append(Violation(decorator.lineno, f"@{ast.unparse(decorator)}"))
            else:
                kept.append(decorator)
        node.decorator_list = kept
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """`torch.compile(f, ...)` is f; so is `torch.compile(...)(f)`."""
        self.generic_visit(node)
        if len(node.args) == 1 and self._compiles(node.func):
            self.taken_off.append(Violation(node.lineno, ast.unparse(node.func)))
            return node.args[0]
        return node

    def _compiles(self, node: ast.expr) -> bool:
        """Whether this is a compiler, waiting for its function."""
        if isinstance(node, ast.Call):
            if dotted(node.func, self.scope) == "functools.partial":
                return len(node.args) == 1 and self._compiles(node.args[0])
            return not node.args and self._compiles(node.func)
        named = isinstance(node, ast.Name) and node.id in self.named
        return named or dotted(node, self.scope) in COMPILERS

    def _kept(self, node: ast.stmt) -> ast.stmt | None:
        """A statement of the module without what names or imports a compiler; None where nothing is left."""
        if isinstance(node, ast.Assign) and self._compiles(node.value):
            self.taken_off.append(Violation(node.lineno, ast.unparse(node)))
            return None
        if not isinstance(node, ast.Import | ast.ImportFrom):
            return node
        names = [kept for alias in node.names if (kept := _imported(node, alias)) is not None]
        if names != node.names:
            self.taken_off.append(Violation(node.lineno, ast.unparse(node)))
            node.names = names
        return node if names else None


def _imported(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.alias | None:
    if isinstance(node, ast.ImportFrom):
        return None if f"{node.module}.{alias.name}" in COMPILERS | MODULES else alias
    if alias.name not in MODULES:
        return alias
    return None if alias.asname else ast.alias("torch")  # `import torch.compiler` binds torch
