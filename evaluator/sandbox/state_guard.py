"""Holding a variant, while it runs, to leaving no trace in what outlives a call: the fence reads names, not values.

A change of an attribute goes through `own`, and the file's functions and classes are compared before and after.
"""

import ast
import types
from enum import Enum
from functools import cache
from typing import Any

import torch
import torch.func
from torch import nn
from torch.autograd.function import FunctionCtx

from evaluator.fence import parse

OWN = "__own__"
"""What `own` is called in a variant's code, where no name of the file can begin with two underscores."""


class Trace(Exception):  # noqa: N818
    """A kernel changed, or tried to change, what the next call would find."""


def guarded(source: str, filename: str) -> types.CodeType:
    """The code of a source as the fence judged it, in which a change of an attribute asks its object for leave."""
    tree = _Guard().visit(parse(source))
    return compile(ast.fix_missing_locations(tree), filename, "exec", dont_inherit=True)


class _Guard(ast.NodeTransformer):
    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            node.value = _asked(node.value)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        first = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)][:1]
        if first == ["ctx"]:  # a class in its place would have autograd's setters write to what they are given
            node.body.insert(0, ast.copy_location(ast.Expr(_asked(ast.Name("ctx", ast.Load()))), node))
        return node


def _asked(value: ast.expr) -> ast.expr:
    return ast.copy_location(ast.Call(ast.Name(OWN, ast.Load()), [value], []), value)


def own_of(module: types.ModuleType) -> Any:
    """A function that gives back an instance of the module's classes or of torch's layers, and refuses all else."""

    def own(value: Any) -> Any:
        made_here = type(value).__module__ == module.__name__ and not isinstance(value, (type, Enum))
        if made_here or isinstance(value, (FunctionCtx, nn.Module, types.SimpleNamespace)):
            return value
        raise Trace(f"a change of an attribute of {_named(value)}, which outlives the call")

    return own


def _named(value: Any) -> str:
    return str(getattr(value, "__qualname__", None) or type(value).__qualname__)


def traces(module: types.ModuleType) -> dict[str, tuple[int, ...]]:
    """What hangs on functions and classes, by name, to compare later: of the module identities, of torch a count."""
    found = {
        name: tuple(map(id, vars(value).values()))
        for name, value in vars(module).items()
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == module.__name__
    }
    return found | {"something of torch's": tuple(map(len, map(vars, _of_torch())))}


@cache
def _of_torch() -> tuple[Any, ...]:
    """Functions and classes of torch's, written in Python, that a variant can name."""
    spaces = (torch, torch.functional, torch.nn, torch.nn.functional, torch.func, torch.autograd)
    values = (value for space in spaces for value in vars(space).values())
    return tuple(x for x in values if isinstance(x, (type, types.FunctionType)))
