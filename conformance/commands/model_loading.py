"""The model that a command is given, as a program to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.cases import options
from conformance.cases.case import Subject, check_size, check_stride, parse_resolution, stored_dtype
from conformance.core.deferred import torch
from conformance.core.errors import ModelError, UserError, first_line
from conformance.core.loading import why_missing
from conformance.selection.model import find_model
from conformance.systems.loading import load_system
from conformance.systems.user_model import Kind, UserModel

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.programs.program import Program
    from conformance.selection.model import Named
    from conformance.systems.protocol import System

_SIZE = (640, 640)


@dataclass(frozen=True)
class TraceSpec:
    """What is looked at: for which shape and dtype, with which workarounds. Of a shape whose height and width are 0,
    images are of the model's own size."""

    shape: tuple[int, int, int]
    dtype: str = "float32"
    workarounds: tuple[str, ...] = ()


def trace_spec(batch: int, resolution: str | None, dtype: str, workarounds: str | None) -> TraceSpec:
    """What options of a command say of how a model is traced. Raises UserError."""
    shape = (batch, 0, 0) if resolution is None else check_size(batch, *parse_resolution(resolution))
    return TraceSpec(shape, dtype, options.one_set("--workarounds", workarounds))


def load_program(model: str, spec: TraceSpec) -> Program:
    """The program of a model of a system, or of one that a user names, with uncalibrated weights. Raises UserError
    for what is neither."""
    from conformance.programs.program import Program, Whole
    from conformance.systems.building.calibration import graph_only

    with graph_only():
        try:
            module, inputs = _made(find_model(model), spec)
        except ModelError as error:
            raise UserError(f"{model}: {error}") from error
    dtype = getattr(torch, stored_dtype(spec.dtype))
    try:
        module = module.to(dtype)
    except Exception as error:  # a module may do anything there
        raise UserError(f"{model} cannot be in {spec.dtype}: {first_line(error)}") from error
    inputs = tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)
    return Program(Whole(module, spec.workarounds), inputs)


def _made(named: Named, spec: TraceSpec) -> tuple[Any, tuple[Tensor, ...]]:
    system = load_system(named.system)
    if reason := why_missing(system):
        raise UserError(reason)
    batch, height, width = spec.shape
    if not (height and width):
        height, width = _own_size(named, system)
    check_stride(*check_size(batch, height, width)[1:], system.stride(named.task))
    module = system.build(named.variant, named.task).module
    subject = Subject(system.name, named.variant, named.task, batch, height, width, spec.dtype)
    return module, system.inputs(subject, 0)


def _own_size(named: Named, system: System) -> tuple[int, int]:
    """Of the images that an architecture is made for."""
    if not isinstance(system, UserModel) or system.spec.kind is Kind.FACTORY:
        return _SIZE
    shape = system.built().shape
    return (shape and shape.resolution) or _SIZE
