"""The model that a command line names: one of a system, or a user's own."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from conformance.cases import options
from conformance.cases.case import Subject, check_size, check_stride, parse_resolution, stored_dtype
from conformance.core.deferred import torch
from conformance.core.errors import UserError, first_line
from conformance.core.loading import why_missing
from conformance.core.text import shortened
from conformance.models.torchvision_ops import own_kernels
from conformance.systems.loading import load_system, models_of, system_names

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.programs.program import Program

_FACTORY = re.compile(r"[\w.]+:\w+")


@dataclass(frozen=True)
class TraceSpec:
    """What is looked at: for which shape and dtype, with which workarounds."""

    shape: tuple[int, int, int]
    dtype: str = "float32"
    workarounds: tuple[str, ...] = ()


def trace_spec(batch: int, resolution: str, dtype: str, workarounds: str | None) -> TraceSpec:
    """What options of a command say of how a model is traced. Raises UserError."""
    shape = check_size(batch, *parse_resolution(resolution))
    return TraceSpec(shape, dtype, options.one_set("--workarounds", workarounds))


def load_program(model: str, spec: TraceSpec) -> Program:
    """The program of `yolo26x-detect`, with uncalibrated weights, or of `package.module:factory`, a callable that
    returns an nn.Module, or one and its inputs. Raises UserError for what is neither."""
    from conformance.programs.program import Program, Whole

    check_size(*spec.shape)
    module, inputs = _made(model, spec) if _FACTORY.fullmatch(model) else _of_a_system(model, spec)
    dtype = getattr(torch, stored_dtype(spec.dtype))
    try:
        module = module.to(dtype)
    except Exception as error:  # a module may do anything there
        raise UserError(f"{model} cannot be in {spec.dtype}: {first_line(error)}") from error
    inputs = tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
    return Program(Whole(module, spec.workarounds), inputs)


def _made(model: str, spec: TraceSpec) -> tuple[Any, tuple[Tensor, ...]]:
    """What a factory returns: a module, which is given images of the shape, or a module and its inputs."""
    made = _called(model)
    module, inputs = made if isinstance(made, tuple | list) and len(made) == 2 else (made, None)
    if not isinstance(module, torch.nn.Module):
        raise UserError(f"{model} returns {type(made).__name__}; expected an nn.Module, or one and its inputs")
    if inputs is None:
        return module.eval(), (torch.zeros(spec.shape[0], 3, *spec.shape[1:]),)
    inputs = (inputs,) if isinstance(inputs, torch.Tensor) else inputs
    if not isinstance(inputs, tuple | list) or not all(isinstance(x, torch.Tensor) for x in inputs):
        raise UserError(f"{model} returns inputs that are {type(inputs).__name__}; expected a tuple of tensors")
    return module.eval(), tuple(inputs)


def _called(model: str) -> Any:
    """What anyone's own factory gives, which may raise anything."""

    if find_spec("torchvision"):
        own_kernels()  # or nothing that imports it can be looked at
    name, _, attribute = model.partition(":")
    sys.path.insert(0, "")  # as python -m has it: what lies in the current folder
    try:
        factory = getattr(importlib.import_module(name), attribute)
    except (Exception, SystemExit) as error:
        raise UserError(f"{model} cannot be loaded: {first_line(error)}") from error
    finally:
        sys.path.remove("")
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise UserError(f"{model} cannot be built: {first_line(error)}") from error


def _of_a_system(model: str, spec: TraceSpec) -> tuple[Any, tuple[Tensor, ...]]:
    """A model under test with uncalibrated weights, and its inputs."""
    from conformance.systems.building.calibration import graph_only

    systems = {name: load_system(name) for name in system_names()}
    short = {f"{name}{variant}": (name, variant, s.tasks[0]) for name, s in systems.items() for variant in s.variants}
    models = models_of(systems) | short
    if model not in models:
        near = get_close_matches(model, models, n=3, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise UserError(
            f"unknown model {shortened(model, 80)!r}{hint} Give one of `conformance systems`, such as "
            f"{', '.join(near) or 'yolo26n-detect'}; package.module:factory, which returns an nn.Module; "
            "or, to lint, a .pt2 file of torch.export"
        )
    name, variant, task = models[model]
    system = systems[name]
    if reason := why_missing(system):
        raise UserError(reason)
    check_stride(*spec.shape[1:], system.stride(task))
    with graph_only():
        module = system.build(variant, task).module
        return module, system.inputs(Subject(system.name, variant, task, *spec.shape, "float32"), 0)
