"""The cases of one model, which the command line names: nothing else is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import product
from pathlib import Path

from conformance.cases.case import (
    LONG_DTYPES,
    SHORT_DTYPES,
    Case,
    Subject,
    check_size,
    check_stride,
    parse_id,
    parse_resolution,
    weights_name,
)
from conformance.cases.profile import Profile
from conformance.compare.limits import limit
from conformance.core.errors import UserError, check, not_there
from conformance.core.loading import Requiring, why_missing
from conformance.programs.workarounds import WORKAROUNDS
from conformance.scenes.pictures import find_pictures
from conformance.selection.expand import Chosen, check_offers, columns
from conformance.selection.selection import BUILT_IN, Selection
from conformance.systems.loading import load_system, models_of, system_names
from conformance.systems.protocol import System
from conformance.systems.user_model import FORMS, Kind, ModelSpec, UserModel, model_spec
from conformance.targets.loading import load_target
from conformance.targets.protocol import Target

BATCH, RESOLUTION = 2, "320x320"  # of a model of a system, as in the quick profile
# What shows most without a device, best first.
BEST = ("xla", "openvino", "emulator")
_NO_AXES = Profile(description="", targets=[], models=[])


@dataclass(frozen=True)
class Named:
    """A model by what its system is loaded by, its variant and its task; `spec` of one that is no system's."""

    system: str
    variant: str
    task: str
    spec: ModelSpec | None = None


@dataclass(frozen=True)
class ModelRequest:
    """What of a model is run: on which targets, None being the best that is here; `isolated` adds each of its layers,
    compiled alone, and `case` is an id, which alone counts."""

    model: Named
    targets: Sequence[str] | None = None
    chosen: Chosen = field(default_factory=Chosen)
    isolated: bool = False
    case: str | None = None
    pictures: str | None = None


def find_model(source: str, **asked: object) -> Named:
    """The model that this names. `asked` are fields of its `ModelSpec`. Raises UserError."""
    if (spec := model_spec(source, **asked)) is not None:
        found = UserModel(spec)
        return Named(spec.loaded_by, found.variants[0], found.tasks[0], spec)
    systems = {name: load_system(name) for name in system_names()}
    short = {f"{name}{variant}": (name, variant, s.tasks[0]) for name, s in systems.items() for variant in s.variants}
    models = models_of(systems) | short
    if source not in models:
        near = get_close_matches(source, models, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UserError(f"unknown model {source!r:.80}; {hint}Give {FORMS}")
    if any(asked.values()):
        raise UserError(f"{source} has layers and groups of its own: leave out --layers, --depth and --groups")
    return Named(*models[source])


def described(model: Named, build: Callable[[str], str]) -> Named:
    """A model of which it is known what it has; `build` says what its system is loaded by then."""
    loaded_by = build(model.system)
    return replace(model, system=loaded_by, spec=load_system(loaded_by).spec)  # type: ignore[attr-defined]


def best_target() -> str:
    """The target that shows most of those that can be used here."""
    return next(name for name in BEST if load_target(name).missing() is None)


def check_request(request: ModelRequest) -> dict[str, Target]:
    """The targets of a request, by what they are loaded by. Raises UserError for whatever cannot be, as far as that
    is known before the model is built."""
    chosen, system = request.chosen, load_system(request.model.system)
    targets = {spec: load_target(spec) for spec in request.targets or (best_target(),)}
    things: list[Requiring] = [system, *targets.values()]
    if reason := next(filter(None, map(why_missing, things)), None):
        raise UserError(reason)
    for name in {name for names in chosen.workarounds or () for name in names}:
        check("workaround", name, WORKAROUNDS)
    check_offers(chosen, targets)
    for dtype in chosen.dtypes or ():
        limit(check("dtype", LONG_DTYPES.get(dtype, dtype), SHORT_DTYPES))
    for batch, resolution in product(chosen.batches or [BATCH], chosen.resolutions or [RESOLUTION]):
        check_size(batch, *parse_resolution(resolution))
    for spec in chosen.weights or ():
        if spec not in BUILT_IN and not Path(spec).is_file():
            raise UserError(
                f"there are no weights {spec!r}: give {', '.join(BUILT_IN)}, or a .pt or .safetensors file"
            )
        if not system.takes_weights:
            raise UserError(f"{system.name} takes no weights: it has its own; leave out --weights")
    if request.pictures is not None:
        find_pictures(Path(request.pictures))
    if request.case is not None:
        parse_id(request.case)
    return targets


def select_model(request: ModelRequest) -> Selection:
    """The cases of a model that was `described`. Raises UserError for whatever cannot be."""
    model, targets = request.model, check_request(request)
    system = load_system(model.system)
    chosen = replace(request.chosen, sdks=request.chosen.sdks or _newest(targets))
    in_columns = [column for spec, target in targets.items() for column in columns(_NO_AXES, chosen, spec, target)]
    if not in_columns:
        raise UserError(f"none of {', '.join(targets)} is all that is asked for: hardware, SDK release, settings")
    subjects = _subjects(model, system, chosen, request.pictures)
    models = [Case(subject, column) for subject, column in product(subjects, in_columns)]
    layers = layer_cases(models, system.layers(model.variant, model.task)) if request.isolated else []
    if request.case is not None:
        models, layers = _narrowed(request.case, models, layers)
    return Selection(
        profile="",
        models=models,
        layers=layers,
        minimal=[],
        systems={system.name: model.system},
        targets={target.name: spec for spec, target in targets.items()},
        weights={weights_name(spec): spec for spec in chosen.weights or ()},
        absent={},
        pictures=request.pictures,
        model=model.spec,
    )


def layer_cases(models: Sequence[Case], layers: Sequence[str]) -> list[Case]:
    """Each layer of each, compiled alone."""
    return [replace(case, layer=layer) for case in models for layer in layers]


def _newest(targets: Mapping[str, Target]) -> list[str] | None:
    """Of targets that stand for SDK releases, the last one."""
    return [target.sdks[-1] for target in targets.values() if target.sdks][:1] or None


def _subjects(model: Named, system: System, chosen: Chosen, pictures: str | None) -> Iterator[Subject]:
    shape = model.spec.shape if model.spec else None
    dtypes = [check("dtype", LONG_DTYPES.get(d, d), SHORT_DTYPES) for d in chosen.dtypes or ["float32"]]
    weights: Sequence[str | None] = [weights_name(spec) for spec in chosen.weights or ()] or [None]
    if shape is not None and shape.batch is not None:
        shown = pictures if model.spec and model.spec.kind is not Kind.EXPORTED else None
        said = (("--batch", chosen.batches), ("--resolution", chosen.resolutions), ("--images", shown))
        for option, asked in said:
            if asked:
                raise UserError(
                    f"{model.variant} brings its own inputs, which say how large they are: leave out {option}"
                )
        for dtype in dtypes:
            yield Subject(system.name, model.variant, model.task, shape.batch, None, None, dtype)
        return
    native = [f"{shape.resolution[0]}x{shape.resolution[1]}"] if shape and shape.resolution else [RESOLUTION]
    sizes = [parse_resolution(resolution) for resolution in chosen.resolutions or native]
    for batch, size, dtype, name in product(chosen.batches or [BATCH], sizes, dtypes, weights):
        check_stride(*size, system.stride(model.task))
        yield Subject(system.name, model.variant, model.task, batch, *size, dtype, name)


def _narrowed(id_: str, models: list[Case], layers: list[Case]) -> tuple[list[Case], list[Case]]:
    found = {case.id: case for case in (*models, *layers)}
    if id_ not in found:
        raise not_there("there is no case", id_, found)
    case = found[id_]
    return ([], [case]) if case.layer else ([case], [])
