"""From what a user names to a model that can be judged: found, looked over, given live weights, its layers chosen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from conformance.cases.case import Subject
from conformance.core.errors import ModelError, first_line
from conformance.core.groups import Group
from conformance.core.store import digest
from conformance.programs.fingerprint import fingerprint
from conformance.systems.building.calibration import give_weights, is_graph_only
from conformance.systems.building.user_model.calibrate import RECIPE, calibrate, is_constructed
from conformance.systems.building.user_model.code import code_key, settings
from conformance.systems.building.user_model.exported import of_file
from conformance.systems.building.user_model.factory import of_factory
from conformance.systems.building.user_model.found import Found
from conformance.systems.building.user_model.handed import of_handed
from conformance.systems.building.user_model.inputs import images
from conformance.systems.building.user_model.layers import choose_layers
from conformance.systems.protocol import Model
from conformance.systems.user_model import Kind, ModelSpec, Shape
from conformance.systems.zoo import zoo

BATCH, RESOLUTION = 2, (224, 224)
_CALIBRATED_ON = (100, 101)  # indices of images that no case is shown


@dataclass(frozen=True)
class Made:
    """A model, its inputs for a subject and an index, its groups, and what is known of it now."""

    model: Model
    inputs: Callable[[Subject, int], tuple[Tensor, ...]]
    groups: tuple[Group, ...] | None
    shape: Shape


def made(spec: ModelSpec) -> Made:
    """The model that a spec names; the last one is kept, but those that are only looked at. Raises UserError, and
    ModelError for what of it cannot be judged."""
    return _made(spec) if is_graph_only() else _kept(spec)


@lru_cache(maxsize=1)
def _kept(spec: ModelSpec) -> Made:
    return _made(spec)


def _made(spec: ModelSpec) -> Made:
    found = _found(spec)
    module, notes = _looked_over(found.module)
    found = replace(found, module=module, notes=(*found.notes, *notes))
    resolution = None if found.inputs else found.resolution or RESOLUTION
    example = _inputs(found, spec, BATCH, resolution, 0)
    found = _live(found, spec, resolution)
    layers = () if is_graph_only() else choose_layers(module, example, spec.layers, spec.depth)
    shape = Shape(
        batch=_batch(example) if found.inputs else None,
        resolution=resolution,
        layers=layers,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
    )
    detector = found.detector if spec.pictures else None
    model = Model(module, layers, str(found.key), found.rows, found.notes, detector)
    return Made(
        model,
        lambda subject, index: _inputs(found, spec, subject.batch, _size(subject), index),
        spec.groups or found.groups,
        shape,
    )


def _found(spec: ModelSpec) -> Found:
    package, _, name = spec.source.partition(":")
    if spec.kind is Kind.ZOO and package != "ultralytics":
        return _of_zoo(package, name)
    if spec.kind is Kind.FACTORY:
        return of_factory(spec.source)
    if spec.kind is Kind.HANDED:
        return of_handed(Path(spec.source), spec.variant)
    if spec.kind is Kind.EXPORTED:
        return of_file(Path(spec.source), spec.pictures)
    from conformance.systems.building.user_model.checkpoint import of_checkpoint, of_yaml

    if spec.kind is Kind.CHECKPOINT:
        return of_checkpoint(Path(spec.source))
    return of_yaml(spec.source if spec.kind is Kind.YAML else f"{name}.yaml")


def _of_zoo(package: str, name: str) -> Found:
    """An architecture of a package, with the weights that its constructor draws from one seed."""
    found = zoo(package).build(name, is_graph_only())
    made_from = {"package": package, "name": name, **{one: version(one) for one in (package, "torch")}}
    return Found(
        found.module,
        resolution=found.resolution,
        channels=found.channels,
        normalised=found.normalised,
        seeded=True,
        key=digest(made_from),
    )


def _looked_over(module: nn.Module) -> tuple[nn.Module, list[str]]:
    """The module on the CPU in float32, for inference, and what had to be done for it. Raises ModelError for one that
    is not whole, or cannot be copied."""
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            "it is a ScriptModule, which has no layers to look at: give the nn.Module that it was made from"
        )
    if any(map(is_lazy, [*module.parameters(), *module.buffers()])):
        raise ModelError("it has parameters without a shape: call it once, so that lazy modules get theirs")
    notes = list(_notes(module))
    if any(held.is_meta for held in (*module.parameters(), *module.buffers())) and not is_graph_only():
        raise ModelError("its weights are on the meta device, without values: load them first")
    try:
        copy.deepcopy(module)
    except Exception as error:  # of the user's classes, of any kind
        raise ModelError(
            f"it cannot be copied ({first_line(error)}), and every compiler is given a copy: keep handles, locks and "
            "tensors with gradients out of its attributes"
        ) from error
    try:
        return module.cpu().float().eval().requires_grad_(False), notes
    except Exception as error:  # a module may do anything there
        raise ModelError(f"it cannot be held in float32 on the CPU: {first_line(error)}") from error


def _notes(module: nn.Module) -> Iterator[str]:
    held = [*module.parameters(), *module.buffers()]
    if narrow := sorted({str(x.dtype) for x in held if x.is_floating_point() and x.dtype is not torch.float32}):
        yield f"model: it was in {', '.join(narrow)}; its weights are held in float32, --dtype says in what they run"
    if devices := sorted({str(x.device) for x in held if x.device.type not in ("cpu", "meta")}):
        yield f"model: its weights were on {', '.join(devices)}; a copy on the CPU is judged"


def _live(found: Found, spec: ModelSpec, resolution: tuple[int, int] | None) -> Found:
    """With weights by which right and wrong can be told apart, and a key that names them."""
    module, seeded = found.module, found.seeded
    of_a_user = code_key(module) if spec.kind in (Kind.FACTORY, Kind.HANDED) else {}
    key = digest({"weights": found.key or _constructed(module, spec), **of_a_user})
    if seeded is None:
        seeded = is_constructed(module)
    if is_graph_only() or not (seeded if spec.calibrate is None else spec.calibrate):
        return replace(found, key=key)
    size = resolution or RESOLUTION
    batches = [_inputs(found, spec, 4, size, index) for index in _CALIBRATED_ON]
    made_from = {"model": key, "recipe": RECIPE, "size": size, "pictures": spec.pictures}
    as_it_was = copy.deepcopy(module.state_dict())
    try:
        key = give_weights(module, made_from, spec.source, lambda module: calibrate(module, batches))
    except Exception as error:  # noqa: BLE001 (of a model that does not run, which is said where it is judged)
        module.load_state_dict(as_it_was)
        note = f"weights: seeded, and not calibrated, as it does not run: {first_line(error)}"
    else:
        note = "weights: seeded, and calibrated on images"
    return replace(found, key=key, notes=(*found.notes, note))


def _constructed(module: nn.Module, spec: ModelSpec) -> str:
    """What tells a model from others with the same weights: its name with its arguments, and what it is told."""
    return digest({"source": spec.source, "holds": fingerprint(module), "told": settings(module)})


def _inputs(
    found: Found, spec: ModelSpec, batch: int, size: tuple[int, int] | None, index: int
) -> tuple[Tensor, ...]:
    if found.inputs is not None:
        return found.inputs(index)
    return (images(batch, size or RESOLUTION, index, found.channels, found.normalised, spec.pictures),)


def _batch(inputs: tuple[Tensor, ...]) -> int:
    """How many images its own inputs are, by the first that has dimensions."""
    return next((len(x) for x in inputs if x.dim()), 1)


def _size(subject: Subject) -> tuple[int, int] | None:
    if subject.height is None or subject.width is None:
        return None
    return subject.height, subject.width
