"""What a user's own factory returns: a module, or one with its inputs."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from conformance.core.errors import UserError, first_line
from conformance.models.torchvision_ops import own_kernels
from conformance.systems.building.user_model.found import Found, Inputs

_SEED = 0
_EXPECTED = "expected an nn.Module, or one and its inputs, or one and a function that gives the n-th inputs"


def of_factory(source: str) -> Found:
    """What `package.module:factory` gives, with literal arguments where it needs any: `acme:build("small")`. Whatever
    it draws is drawn from one seed. Raises UserError."""
    if find_spec("torchvision"):
        own_kernels()  # or nothing that imports it can be looked at
    name, _, expression = source.partition(":")
    attribute, arguments, keywords = _call(source, expression)
    sys.path.insert(0, "")  # as python -m has it: what lies in the current folder
    try:
        factory: Any = importlib.import_module(name)
        for part in attribute.split("."):
            factory = getattr(factory, part)
    except (Exception, SystemExit) as error:
        raise UserError(f"{source} cannot be loaded: {first_line(error)}") from error
    finally:
        sys.path.remove("")
    if isinstance(factory, nn.Module) or not callable(factory):
        return interpreted(source, factory)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            made = factory(*arguments, **keywords)
    except (Exception, SystemExit) as error:
        raise UserError(f"{source} cannot be built: {first_line(error)}") from error
    return interpreted(source, made)


def interpreted(source: str, made: Any) -> Found:
    """A module, or a pair of one and its inputs. Raises UserError."""
    module, inputs = made if isinstance(made, tuple | list) and len(made) == 2 else (made, None)
    if not isinstance(module, nn.Module):
        raise UserError(f"{source} returns {type(made).__name__}; {_EXPECTED}")
    return Found(module, None if inputs is None else own_inputs(source, module, inputs))


def own_inputs(source: str, module: nn.Module, given: Any) -> Inputs:
    """The n-th inputs of a module: of a function that gives them, or made from the one set there is. Raises
    UserError."""
    if callable(given) and not isinstance(given, Mapping):
        return lambda index: positional(source, module, _called(source, given, index))
    first = positional(source, module, given)
    return lambda index: first if index == 0 else tuple(_another(x, index) for x in first)


def positional(source: str, module: nn.Module, given: Any) -> tuple[Tensor, ...]:
    """Inputs as `forward` takes them one after the other. Raises UserError for what is no tensor."""
    if isinstance(given, Tensor):
        given = (given,)
    if isinstance(given, Mapping):
        given = _in_order(source, module, given)
    if not isinstance(given, tuple | list) or not given or not all(isinstance(x, Tensor) for x in given):
        kinds = (
            ", ".join(type(x).__name__ for x in given) if isinstance(given, tuple | list) else type(given).__name__
        )
        raise UserError(f"{source}: its inputs are {kinds or 'none'}; expected a tuple, or a dict, of tensors")
    if odd := next((x for x in given if x.layout is not torch.strided), None):
        raise UserError(f"{source}: one of its inputs is of layout {odd.layout}; expected dense tensors")
    return tuple(x.detach().cpu().float() if x.is_floating_point() else x.detach().cpu() for x in given)


def _in_order(source: str, module: nn.Module, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Inputs by name in the order of `forward`'s parameters."""
    names = list(inspect.signature(module.forward).parameters)[: len(given)]
    if set(names) != set(given):
        raise UserError(
            f"{source}: its inputs are named {', '.join(map(str, given))}, and the first parameters of its forward "
            f"are {', '.join(names)}: give these, or a module whose forward takes yours alone"
        )
    return tuple(given[name] for name in names)


def _called(source: str, given: Callable[[int], Any], index: int) -> Any:
    try:
        return given(index)
    except Exception as error:  # a user's code
        raise UserError(f"{source}: its inputs cannot be made: {first_line(error)}") from error


def _another(x: Tensor, index: int) -> Tensor:
    """Other inputs of the same values: what is valid in one place, an index, a class, is taken to be valid in
    another. Every image of a batch is another one, too."""
    moved = x.roll(index, 0) if x.dim() else x
    inner = list(range(1, x.dim()))
    return moved.flip(inner) if index % 2 else moved.roll([index] * len(inner), inner)


def _call(source: str, expression: str) -> tuple[str, list[Any], dict[str, Any]]:
    """`build("small", depth=2)` taken apart."""
    if "(" not in expression:
        return expression, [], {}
    try:
        call = ast.parse(expression, mode="eval").body
        assert isinstance(call, ast.Call)
        arguments = [ast.literal_eval(argument) for argument in call.args]
        keywords = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        return ast.unparse(call.func), arguments, keywords
    except (SyntaxError, ValueError, AssertionError):
        raise UserError(f"{source} is no call of plain values, such as package.module:factory('small', 2)") from None
