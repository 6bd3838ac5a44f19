"""From the command line to cases: which, on what targets, and why some cannot be run here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from conformance.cases.case import Case, parse_id
from conformance.cases.errors import UserError, unknown
from conformance.cases.expand import Chosen, check_offers, columns, expand
from conformance.cases.profile import Profile, load_profile
from conformance.defects.catalogue import DEFECTS
from conformance.defects.minimal import MinimalCases
from conformance.defects.workarounds import check_workaround
from conformance.registry import load_system, load_target
from conformance.systems.protocol import System
from conformance.targets.protocol import Target


@dataclass(frozen=True)
class Request:
    """What was asked for. `targets` None means those of the profile; `case` is an id, and alone counts."""

    profile: str = "quick"
    targets: Sequence[str] | None = None
    chosen: Chosen = field(default_factory=Chosen)
    case: str | None = None


@dataclass(frozen=True)
class Selection:
    """Cases to run. `systems` and `targets` map a case's names to what these are loaded by."""

    profile: str
    models: list[Case]
    layers: list[Case]
    minimal: list[Case]
    systems: dict[str, str]
    targets: dict[str, str]
    absent: dict[str, str]  # target or system -> why it cannot be used here

    def why_not(self, case: Case) -> str | None:
        """Why a case cannot be run here, or None."""
        return self.absent.get(case.target) or self.absent.get(case.system)


def select(request: Request) -> Selection:
    """All cases of a request. Raises UserError for whatever cannot be, and for a named target that is missing."""
    profile = load_profile(request.profile)
    for names in request.chosen.workarounds or [tuple(w) for t in profile.target.values() for w in t.workarounds]:
        for name in names:
            check_workaround(name)
    systems = {spec: load_system(spec) for spec in _system_specs(request, profile)}
    targets = {spec: load_target(spec) for spec in _target_specs(request, profile)}
    absent = _absent(systems, targets, strict=request.targets is not None)
    check_offers(request.chosen, targets)
    cases = expand(profile, request.chosen, systems, targets)
    selection = Selection(
        profile=request.profile,
        models=[case for case in cases if case.layer is None],
        layers=[case for case in cases if case.layer is not None],
        minimal=list(_minimal(profile, request.chosen, targets)),
        systems={system.name: spec for spec, system in systems.items()},
        targets={target.name: spec for spec, target in targets.items()},
        absent=absent,
    )
    return selection if request.case is None else _only(request.case, selection, systems)


def _system_specs(request: Request, profile: Profile) -> list[str]:
    known = list(dict.fromkeys(block.system for block in profile.models))
    for name in request.chosen.systems or ():
        if name not in known:
            raise unknown(f"system of profile {request.profile}", name, known)
    return list(request.chosen.systems or known)


def _target_specs(request: Request, profile: Profile) -> list[str]:
    if request.case is not None and request.targets is None:
        return [parse_id(request.case).target]
    return list(request.targets or profile.targets)


def _absent(systems: dict[str, System], targets: dict[str, Target], strict: bool) -> dict[str, str]:
    """What cannot be used here. With `strict` a target was asked for by name, and that is an error."""
    absent = {s.name: reason for s in systems.values() if (reason := s.missing())}
    for target in targets.values():
        if reason := target.missing():
            if strict:
                raise UserError(reason)
            absent[target.name] = reason
    return absent


def _minimal(profile: Profile, chosen: Chosen, targets: dict[str, Target]) -> Iterator[Case]:
    """Every minimal case of every defect on every column, plain and with each of its workarounds."""
    plain = replace(chosen, workarounds=[()])
    places = [c for spec, target in targets.items() for c in columns(profile, plain, spec, target)]
    for defect in DEFECTS.values():
        for minimal, place in product(defect.minimal_cases, places):
            model = Case(defect.id, minimal.name, "", minimal.batch, None, None, "float32", target="")
            for workarounds in ((), *((name,) for name in minimal.workarounds)):
                yield replace(place, workarounds=workarounds).of(model)


def _only(text: str, selection: Selection, systems: dict[str, System]) -> Selection:
    """The selection of one case by its id, whether or not the profile has it."""
    part = parse_id(text)
    for name in part.workarounds:
        check_workaround(name)
    if ":" in part.model:
        system_name, _, variant = part.model.partition(":")
        if system_name not in DEFECTS:
            raise unknown("defect", system_name, DEFECTS)
        MinimalCases(DEFECTS[system_name]).minimal(variant)
        task = ""
    else:
        system_name, variant, task = _resolve(part.model, systems)
    case = Case(
        system_name, variant, task, part.batch, part.height, part.width, part.dtype,
        part.target, part.hardware, part.sdk, part.workarounds, part.layer,
    )  # fmt: skip
    model = bool(task)
    return replace(
        selection,
        models=[case] if model and case.layer is None else [],
        layers=[case] if model and case.layer else [],
        minimal=[] if model else [case],
    )


def _resolve(model: str, systems: dict[str, System]) -> tuple[str, str, str]:
    """(system, variant, task) of `yolo26n-detect`."""
    names = {
        f"{system.name}{variant}-{task}": (system.name, variant, task)
        for system in systems.values()
        for variant, task in product(system.variants, system.tasks)
    }
    if model not in names:
        raise unknown("model", model, names)
    return names[model]
