"""The model that a command line names: one of a system, or a user's own."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.cases.errors import UserError, check

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.program import Program

_FACTORY = re.compile(r"[\w.]+:\w+")


@dataclass(frozen=True)
class Look:
    """What is looked at: for which shape and dtype, with which workarounds."""

    shape: tuple[int, int, int]
    dtype: str = "float32"
    workarounds: tuple[str, ...] = ()


def named_program(model: str, look: Look) -> Program:
    """The program of `yolo26x-detect`, with uncalibrated weights, or of `package.module:factory`, a callable that
    returns an nn.Module, or one and its inputs. Raises UserError for what is neither."""
    import torch

    from conformance.cases.case import stored_dtype
    from conformance.program import Program, Whole

    module, inputs = _made(model, look) if _FACTORY.fullmatch(model) else _of_a_system(model, look)
    dtype = getattr(torch, stored_dtype(look.dtype))
    inputs = tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
    return Program(Whole(module.to(dtype), look.workarounds), inputs)


def _made(model: str, look: Look) -> tuple[Any, tuple[Tensor, ...]]:
    """What a factory returns: a module, which is given images of the shape, or a module and its inputs."""
    import torch

    name, _, attribute = model.partition(":")
    sys.path.insert(0, "")  # as python -m has it: what lies in the current folder
    try:
        factory = getattr(importlib.import_module(name), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{model} cannot be loaded: {error}") from None
    finally:
        sys.path.remove("")
    made = factory()
    module, inputs = made if isinstance(made, tuple | list) else (made, None)
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"{model} returns {type(module).__name__}; expected an nn.Module, or one and its inputs")
    batch, height, width = look.shape
    return module.eval(), tuple(inputs) if inputs is not None else (torch.zeros(batch, 3, height, width),)


def _of_a_system(model: str, look: Look) -> tuple[Any, tuple[Tensor, ...]]:
    """A model under test with uncalibrated weights, and its inputs."""
    from conformance.cases.case import Case
    from conformance.registry import load_system, models_of, system_names
    from conformance.systems.calibration import graph_only

    systems = {name: load_system(name) for name in system_names()}
    short = {f"{name}{variant}": (name, variant, s.tasks[0]) for name, s in systems.items() for variant in s.variants}
    models = models_of(systems) | short
    name, variant, task = models[check("model", model, models)]
    system = systems[name]
    if reason := system.missing():
        raise UserError(reason)
    with graph_only():
        module = system.build(variant, task).module
        return module, system.inputs(Case(system.name, variant, task, *look.shape, "float32", ""), 0)
