"""From the command line to cases: which, on what targets, and why some cannot be run here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from conformance.cases.case import Case, CaseId, Subject, parse_id, weights_name
from conformance.cases.profile import Models, Profile, load_profile
from conformance.compare.limits import limit
from conformance.core.errors import UserError, check, not_there
from conformance.core.loading import why_missing
from conformance.defects.catalogue import DEFECTS
from conformance.programs.workarounds import WORKAROUNDS
from conformance.selection.expand import Chosen, check_offers, columns, expand
from conformance.selection.selection import BUILT_IN, Selection
from conformance.systems.loading import load_system, models_of
from conformance.systems.protocol import System
from conformance.targets.loading import load_target
from conformance.targets.protocol import Target


@dataclass(frozen=True)
class Request:
    """What was asked for. `targets` None means those of the profile; `case` is an id, and alone counts; `pictures` is
    a folder to count detections on."""

    profile: str = "quick"
    targets: Sequence[str] | None = None
    chosen: Chosen = field(default_factory=Chosen)
    case: str | None = None
    pictures: str | None = None


def select(request: Request) -> Selection:
    """All cases of a request. Raises UserError for whatever cannot be, and for a named target that is missing."""
    profile = load_profile(request.profile)
    chosen = replace(request.chosen, named=request.targets is not None)
    systems = {spec: load_system(spec) for spec in _system_specs(request, profile)}
    targets = {spec: load_target(spec) for spec in _target_specs(request, profile)}
    for kind, found in (("targets", targets), ("systems", systems)):
        _require_names_apart(kind, found)
    absent = _absent(request, systems, targets)
    weights = _weights(request, profile)
    if request.case is not None:
        profile, chosen = _narrowed(parse_id(request.case), profile, systems, weights)
    in_profile = (names for axes in profile.target.values() for names in axes.workarounds)
    for name in (name for names in (*in_profile, *(chosen.workarounds or ())) for name in names):
        check("workaround", name, WORKAROUNDS)
    check_offers(chosen, targets)
    cases = [*expand(profile, chosen, systems, targets), *_minimal(profile, chosen, targets)]
    if request.case is not None:
        by_id = {case.id: case for case in cases}
        if request.case not in by_id:
            raise not_there("there is no case", request.case, by_id)
        cases = [by_id[request.case]]
    for dtype in {case.subject.dtype for case in cases}:
        limit(dtype)
    _require_weights_taken(cases, systems)
    models = [case for case in cases if case.subject.task and case.layer is None]
    if request.pictures is not None:
        _require_pictures(request.pictures, models)
    return Selection(
        profile=request.profile,
        models=models,
        layers=[case for case in cases if case.layer is not None],
        minimal=[case for case in cases if not case.subject.task],
        systems={system.name: spec for spec, system in systems.items()},
        targets={target.name: spec for spec, target in targets.items()},
        weights=weights,
        absent=absent,
        pictures=request.pictures,
    )


def _system_specs(request: Request, profile: Profile) -> list[str]:
    known = list(dict.fromkeys(block.system for block in profile.models))
    for name in request.chosen.systems or ():
        check(f"system of profile {request.profile}", name, known)
    return list(request.chosen.systems or known)


def _target_specs(request: Request, profile: Profile) -> list[str]:
    if request.case is not None and request.targets is None:
        return [parse_id(request.case).column.target]
    return list(request.targets or profile.targets)


def _require_names_apart(kind: str, found: Mapping[str, System] | Mapping[str, Target]) -> None:
    """Raises UserError where two of them have one name: their cases could not be told apart."""
    specs: dict[str, str] = {}
    for spec, thing in found.items():
        if thing.name in specs:
            raise UserError(f"two {kind} are called {thing.name!r}: {specs[thing.name]} and {spec}")
        specs[thing.name] = spec


def _weights(request: Request, profile: Profile) -> dict[str, str]:
    """What weights are loaded by, by the name that ids have for them. Raises UserError for a missing file."""
    in_profile = (spec for block in profile.models for spec in block.weights)
    specs = [*(request.chosen.weights or ()), *BUILT_IN, *in_profile]
    for spec in specs:
        if spec not in BUILT_IN and not Path(spec).is_file():
            raise UserError(
                f"there are no weights {spec!r}: give {', '.join(BUILT_IN)}, or a .pt or .safetensors file"
            )
    named = {weights_name(spec): spec for spec in specs}
    if clash := next((spec for spec in specs if named[weights_name(spec)] != spec), None):
        raise UserError(f"two weights are called {weights_name(clash)!r}: {clash} and {named[weights_name(clash)]}")
    return named


def _require_weights_taken(cases: Sequence[Case], systems: Mapping[str, System]) -> None:
    """Raises UserError where a system is to be given weights that takes none."""
    for system in systems.values():
        if not system.takes_weights and any(
            case.subject.weights for case in cases if case.subject.system == system.name
        ):
            raise UserError(f"{system.name} takes no weights: it has its own; leave it out with --system")


def _require_pictures(folder: str, models: Sequence[Case]) -> None:
    """Raises UserError for a folder without pictures, and where no model would look at them."""
    from conformance.scenes.pictures import find_pictures

    find_pictures(Path(folder))
    if not any(case.subject.weights for case in models):
        raise UserError("--images are for models with trained weights, and there is none: say --weights, too")


def _absent(request: Request, systems: Mapping[str, System], targets: Mapping[str, Target]) -> dict[str, str]:
    """What cannot be used here, by name. Raises UserError where it was asked for by name."""
    absent = {}
    for found, named in ((systems, request.chosen.systems), (targets, request.targets)):
        for thing in found.values():
            if reason := why_missing(thing):
                if named is not None or request.case is not None:
                    raise UserError(reason)
                absent[thing.name] = reason
    return absent


def _minimal(profile: Profile, chosen: Chosen, targets: dict[str, Target]) -> Iterator[Case]:
    """Every minimal case of every defect on every column, plain and with each of its workarounds."""
    plain = replace(chosen, workarounds=[()])
    in_columns = [c for spec, target in targets.items() for c in columns(profile, plain, spec, target)]
    for defect in DEFECTS.values():
        for minimal, column in product(defect.minimal_cases, in_columns):
            subject = Subject(defect.id, minimal.name, "", minimal.batch, None, None, minimal.dtype)
            for workarounds in ((), *((name,) for name in minimal.workarounds)):
                yield Case(subject, replace(column, workarounds=workarounds))


def _narrowed(
    part: CaseId, profile: Profile, systems: Mapping[str, System], weights: Mapping[str, str]
) -> tuple[Profile, Chosen]:
    """The profile and axes that hold one case, whether or not the profile has it."""
    column = part.column
    chosen = Chosen(
        hardware=[column.hardware],
        sdks=[column.sdk] if column.sdk else None,
        settings=[column.settings],
        workarounds=[column.workarounds],
    )
    if ":" in part.model:
        return profile.model_copy(update={"models": []}), chosen
    models = models_of(systems)
    spec, variant, task = models[check("model", part.model, models)]
    block = Models(
        system=spec,
        variants=[variant],
        tasks=[task],
        batches=[part.batch],
        resolutions=[f"{part.height}x{part.width}"],
        dtypes=[part.dtype],
        weights=[weights[check("weights", part.weights, weights)]] if part.weights else [],
        isolated=part.layer is not None,
    )
    return profile.model_copy(update={"models": [block]}), chosen
