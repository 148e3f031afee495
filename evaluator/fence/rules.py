"""The walk over a variant's syntax tree: every name, attribute, import and store is looked at in its scope."""

import ast

from evaluator.fence import names, uses
from evaluator.fence.advice import advice
from evaluator.fence.scopes import SCOPES, Function, Scope, bind, body, dotted, edges, inherits, is_own, outlives
from evaluator.fence.top_level import Immutable, check_top_level, declared_fields, stateless_wrappers
from evaluator.fence.violation import Violation

OWN = frozenset({"self", "cls", "ctx"})
TENSORS = frozenset({"torch.Tensor", "torch.nn.Parameter", "torch.nn.Buffer", "torch.nn.UninitializedParameter"})


class Fence(ast.NodeVisitor):
    """Collects violations in `found`."""

    def __init__(self) -> None:
        self.found: list[Violation] = []
        self.scope = Scope("module")
        self.fields: frozenset[str] = frozenset()
        self.defined: set[str] = set()
        self.parents: dict[ast.AST, ast.AST] = {}

    def judge(self, tree: ast.Module) -> None:
        """Look at the whole module."""
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self.scope = bind(tree, None)
        self.fields = declared_fields(tree)
        self.defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        immutable = Immutable(self.scope, stateless_wrappers(tree))
        for node, what in check_top_level(tree, immutable):
            self.refuse(node, what)
        self.scope.tables = immutable.tables
        self.generic_visit(tree)

    def refuse(self, node: ast.AST, what: str) -> None:
        """Note a violation at a node."""
        self.found.append(Violation(getattr(node, "lineno", 1), what))

    def visit(self, node: ast.AST) -> None:
        """Visit a node; what a nested scope holds is visited in that scope, its decorators and defaults outside."""
        if not isinstance(node, SCOPES):
            super().visit(node)
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            for edge in edges(node):
                self.visit(edge)
        self._definition(node)
        if isinstance(node, ast.ClassDef) and any(dotted(base, self.scope) in TENSORS for base in node.bases):
            self.refuse(node, "a subclass of Tensor: it would answer for the tensors of others")
        outer, self.scope = self.scope, bind(node, self.scope)
        for child in body(node):
            self.visit(child)
        self.scope = outer

    def _definition(self, node: ast.AST) -> None:
        if isinstance(node, ast.AsyncFunctionDef):
            self.refuse(node, "an async function")
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.startswith("__"):
            method = self.scope.kind == "class" and node.name in names.OPEN_DUNDERS
            if not method:
                self.refuse(node, f"a definition of {node.name}")
        if isinstance(node, ast.FunctionDef | ast.Lambda) and not self.scope.in_function:
            self._defaults(node)

    def _defaults(self, node: Function) -> None:
        """A default of a function that outlives the call is state, if it can change."""
        immutable = Immutable(self.scope)
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d)):
            if not immutable.holds(default):
                self.refuse(default, "a default value that can change: it would keep state between calls")

    def visit_Import(self, node: ast.Import) -> None:
        """import a, b.c as d."""
        for alias in node.names:
            if alias.name not in names.ALLOWED_MODULES:
                self.refuse(node, f"import of {alias.name}: {advice(alias.name)}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """from a import b."""
        module = node.module or ""
        if node.level or module not in names.ALLOWED_MODULES:
            told = "a kernel is one file" if node.level else advice(f"{module}.{node.names[0].name}")
            self.refuse(node, f"import from {'.' * node.level}{module}: {told}")
            return
        for alias in node.names:
            if alias.name == "*":
                self.refuse(node, "import of *: name what the kernel uses")
            elif problem := names.member_problem(module, alias.name):
                self.refuse(node, f"{problem}: {advice(f'{module}.{alias.name}')}")

    def visit_Name(self, node: ast.Name) -> None:
        """A name on its own: a builtin, a module used as a value, or a table."""
        if node.id.startswith("__") and not (isinstance(node.ctx, ast.Store) and node.id in names.HEADER_NAMES):
            self.refuse(node, f"the name {node.id}")
            return
        home = self.scope.find(node.id)
        if home is None:
            if problem := names.builtin_problem(node.id):
                self.refuse(node, problem)
            elif node.id == "type" and not uses.names_a_type(node, self.parents, self.scope):
                self.refuse(node, "type other than type(x)")
        elif node.id in home.modules and isinstance(node.ctx, ast.Load):
            self._path(node, home.modules[node.id])
        elif node.id not in home.tables or not isinstance(node.ctx, ast.Load):
            return
        elif not uses.only_reads(node, self.parents, self.scope):
            self.refuse(node, f"{node.id}, a module-level list, dict or set, in a place where it could be changed")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """`a.b`: a path into a module, or an attribute of a value."""
        if not isinstance(node.ctx, ast.Load):
            self._attribute_store(node)
        path = dotted(node, self.scope)
        if path is not None:
            self._path(node, path)
            return
        if node.attr == "format" and not uses.plain_format(node, self.parents):
            self.refuse(node, "format other than that of a literal text with plain fields: a field can name attributes")
        of_self = isinstance(node.value, ast.Name) and node.value.id in OWN and is_own(self.scope, node.value.id)
        problem = names.attribute_problem(node.attr, of_self=of_self)
        if problem and not uses.is_super_init(node, self.scope):
            self.refuse(node, problem)
        known = {"apply", *self.fields, *self.defined}
        if isinstance(node.value, ast.Name) and inherits(self.scope, node.value.id, node.attr, known):
            self.refuse(node, f"{node.attr}, which {node.value.id} has from torch, without an instance")
        self.visit(node.value)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """`x := y`, which binds at the top level what nothing there would let pass."""
        if outlives(self.scope, node.target.id):
            self.refuse(node, f"module-level state: {node.target.id} outlives the call")
        self.generic_visit(node)

    def visit_MatchClass(self, node: ast.MatchClass) -> None:
        """`case Point(x=0)` reads attributes too."""
        for name in node.kwd_attrs:
            if problem := names.attribute_problem(name):
                self.refuse(node, problem)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """A for in brackets."""
        if node.is_async:
            self.refuse(node.target, "an async comprehension")
        self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> None:
        """Global x."""
        self.refuse(node, f"global {', '.join(node.names)}: state that outlives a call")

    def visit_Await(self, node: ast.Await) -> None:
        """Await x."""
        self.refuse(node, "await")

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """`x[i] = y` on something that outlives the call."""
        base = node.value
        if not isinstance(node.ctx, ast.Load) and isinstance(base, ast.Name) and outlives(self.scope, base.id):
            self.refuse(node, f"a change of {base.id}, which outlives a call")
        self.generic_visit(node)

    def _path(self, node: ast.expr, path: str) -> None:
        """Judge a dotted path that starts at a module."""
        module, *rest = path.split(".")
        while rest and f"{module}.{rest[0]}" in names.ALLOWED_MODULES:
            module = f"{module}.{rest.pop(0)}"
        if module not in names.ALLOWED_MODULES:
            return  # its import was refused already
        if not rest:
            if not self._is_alias(node):
                self.refuse(node, f"the module {path} as a value")
            return
        problem = names.member_problem(module, rest[0])
        problem = (
            f"{problem}: {advice(path)}"
            if problem
            else next(filter(None, map(names.attribute_problem, rest[1:])), None)
        )
        if len(rest) > 1 and module in ("torch.nn", "torch.autograd", "torch.autograd.function"):
            problem = problem or f"{path} without an instance: it would write to whatever it is given"
        if path in uses.DECORATORS_ONLY and not uses.decorates(node, path, self.parents):
            problem = f"{path} other than as a decorator"
        if problem:
            self.refuse(node, problem)

    def _is_alias(self, node: ast.expr) -> bool:
        """Whether this is the right-hand side of `F = torch.nn.functional`, or the F in `F.softmax`."""
        parent = self.parents.get(node)
        if isinstance(parent, ast.Assign):
            return all(isinstance(t, ast.Name) and self._is_module(t.id) for t in parent.targets)
        return False

    def _is_module(self, name: str) -> bool:
        home = self.scope.find(name)
        return home is not None and name in home.modules

    def _attribute_store(self, node: ast.Attribute) -> None:
        base = node.value
        if not isinstance(base, ast.Name) or outlives(self.scope, base.id):
            self.refuse(node, f"a change of the attribute {node.attr} of something that may outlive the call")
        elif base.id == "cls":
            self.refuse(node, f"a change of the class attribute {node.attr}")
        elif base.id in OWN and not is_own(self.scope, base.id):
            self.refuse(node, f"a change of {base.id}, which is no parameter of a method here")
