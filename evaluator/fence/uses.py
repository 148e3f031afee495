"""How a name or an attribute is used, seen from the nodes around it. `parents` maps each node to the one it is in."""

import ast
import string
from collections.abc import Mapping

from evaluator.fence.names import words
from evaluator.fence.scopes import Scope

TABLE_READERS = words("dict enumerate len list max min range reversed set sorted sum tuple zip")
ONE_AT_A_TIME = words("max min sum")
"""These hand on a whole table where they are given several things."""
TABLE_METHODS = words("copy count get index items keys values")
TYPE_READERS = frozenset({"isinstance", "issubclass"})

DECORATORS_ONLY = {"functools.wraps": 1, "dataclasses.dataclass": 0}
"""These write to whatever they are given, a class of torch's too; with how many positional arguments they decorate."""

Parents = Mapping[ast.AST, ast.AST]


def only_reads(node: ast.Name, parents: Parents, scope: Scope) -> bool:
    """Whether a module-level list, dict or set is read here and goes nowhere else."""
    parent = parents[node]
    if isinstance(parent, ast.Subscript):
        return parent.value is node and isinstance(parent.ctx, ast.Load)
    if isinstance(parent, ast.Attribute):
        return parent.attr in TABLE_METHODS
    if isinstance(parent, ast.Call):
        alone = len(parent.args) + len(parent.keywords) == 1
        return any(_is_builtin(parent.func, x, scope) and (alone or x not in ONE_AT_A_TIME) for x in TABLE_READERS)
    if isinstance(parent, ast.For | ast.comprehension):
        return parent.iter is node
    return isinstance(parent, ast.Compare | ast.keyword) and getattr(parent, "arg", None) is None


def names_a_type(node: ast.Name, parents: Parents, scope: Scope) -> bool:
    """Whether `type` is asked for the type of one value, is one side of isinstance, or annotates: it makes no class."""
    parent = parents[node]
    if isinstance(parent, ast.Call) and parent.func is node:
        twice = any(isinstance(x, ast.Call) and _is_type(x.func) for x in parent.args)
        return len(parent.args) == 1 and not parent.keywords and not twice and not _is_type(parent.args[0])
    if isinstance(parent, ast.Call):
        return any(_is_builtin(parent.func, x, scope) for x in TYPE_READERS)
    if isinstance(parent, ast.Subscript):  # type[Tensor]
        return parent.value is node
    return isinstance(parent, ast.arg) or _annotates(node, parent)


def decorates(node: ast.expr, path: str, parents: Parents) -> bool:
    """Whether a decorator that may be nothing else is one here: not a function called on a class of somebody's."""
    parent = parents[node]
    call = parent if isinstance(parent, ast.Call) and parent.func is node else None
    outer = parents[call] if call else parent
    listed = isinstance(outer, ast.FunctionDef | ast.ClassDef) and (call or node) in outer.decorator_list
    wanted = DECORATORS_ONLY[path]
    return listed and (len(call.args) == wanted if call else not wanted) and not (wanted and call and call.keywords)


def _is_builtin(node: ast.AST, name: str, scope: Scope) -> bool:
    return isinstance(node, ast.Name) and node.id == name and scope.find(name) is None


def _is_type(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "type"


def _annotates(node: ast.Name, parent: ast.AST) -> bool:
    return getattr(parent, "annotation", None) is node or getattr(parent, "returns", None) is node


def plain_format(node: ast.Attribute, parents: Parents) -> bool:
    """Whether this is `"... {:.2f} ...".format(x)`: a literal text, called here, whose fields name no attribute."""
    text, parent = node.value, parents.get(node)
    called = isinstance(parent, ast.Call) and parent.func is node
    if not called or not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return False
    try:
        fields = [(field or "", spec or "") for _, field, spec, _ in string.Formatter().parse(text.value)]
    except ValueError:
        return False
    return all((field.isidentifier() or field.isdecimal() or not field) and "{" not in spec for field, spec in fields)


def is_super_init(node: ast.Attribute, scope: Scope) -> bool:
    """Whether this is `super().__init__`."""
    called = node.value
    is_super = isinstance(called, ast.Call) and _is_builtin(called.func, "super", scope)
    return is_super and node.attr in ("__init__", "__post_init__")
