"""From a profile, and what the command line puts in place of its axes, to cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from conformance.cases.case import (
    LONG_DTYPES,
    SHORT_DTYPES,
    Case,
    Column,
    Subject,
    check_size,
    check_stride,
    parse_resolution,
    weights_name,
)
from conformance.cases.profile import Models, Profile, TargetAxes
from conformance.cases.releases import resolve
from conformance.core.errors import UserError, check
from conformance.systems.protocol import SystemAxes
from conformance.targets.protocol import TargetOffer

# More would take years to run, and memory before that; 20,000 cases are collected in a second.
MOST_CASES = 1_000_000
MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Chosen:
    """Axes from the command line; None leaves the profile's. `named`: the targets, too, are from there."""

    named: bool = False
    systems: Sequence[str] | None = None
    variants: Sequence[str] | None = None
    tasks: Sequence[str] | None = None
    batches: Sequence[int] | None = None
    resolutions: Sequence[str] | None = None
    dtypes: Sequence[str] | None = None
    hardware: Sequence[str] | None = None
    sdks: Sequence[str] | None = None
    settings: Sequence[tuple[str, ...]] | None = None
    workarounds: Sequence[tuple[str, ...]] | None = None
    weights: Sequence[str] | None = None


def expand(
    profile: Profile, chosen: Chosen, systems: Mapping[str, SystemAxes], targets: Mapping[str, TargetOffer]
) -> list[Case]:
    """All cases, those of one model together, without repeats. Raises UserError for a value that cannot be."""
    _require_few(profile, chosen, targets)
    everywhere = {spec: columns(profile, chosen, spec, target) for spec, target in targets.items()}
    cases: dict[Case, None] = {}
    for block in profile.models:
        if chosen.systems is not None and block.system not in chosen.systems:
            continue
        wanted = [spec for spec in everywhere if chosen.named or block.targets is None or spec in block.targets]
        system = systems[block.system]
        for subject in _subjects(block, chosen, system):
            layers = system.layers(subject.variant, subject.task) if block.isolated else (None,)
            for layer, spec in product(layers, wanted):
                for column in everywhere[spec]:
                    cases[Case(subject, column, layer)] = None
            if len(cases) > MOST_CASES:
                raise _too_many("cases with their layers", len(cases), MOST_CASES)
    return list(cases)


def columns(profile: Profile, chosen: Chosen, spec: str, target: TargetOffer) -> list[Column]:
    """Every hardware, SDK, set of settings and set of workarounds a target is asked for."""
    axes = profile.target.get(spec, TargetAxes())
    # A choice that a target does not offer is an error only where no target offers it: see `check_offers`.
    hardware = [h for h in chosen.hardware or axes.hardware or target.default_hardware if h in target.hardware]
    sdks: Sequence[str | None] = [None]
    if target.sdks:
        asked = [resolve(sdk) for sdk in chosen.sdks or axes.sdks or ()]
        sdks = [sdk for sdk in asked or target.sdks if sdk in target.sdks]
    settings, workarounds = chosen.settings, chosen.workarounds
    if settings is None:
        settings = [tuple(names) for names in axes.settings]
    if workarounds is None:
        workarounds = [tuple(names) for names in axes.workarounds]
    settings = [names for names in settings if all(map(target.offers, names))]
    return [Column(target.name, *values) for values in product(hardware, sdks, settings, workarounds)]


def check_offers(chosen: Chosen, targets: Mapping[str, TargetOffer]) -> None:
    """Raises UserError where a hardware, SDK or setting was asked for that none of the targets offers."""
    for kind, asked, offered in (
        ("hardware", chosen.hardware, [h for t in targets.values() for h in t.hardware]),
        (
            "SDK release",
            [resolve(s) for s in chosen.sdks or ()],
            [s for t in targets.values() for s in t.sdks],
        ),
        (
            "setting",
            [name for names in chosen.settings or () for name in names if not _is_offered(name, targets)],
            [s for t in targets.values() for s in t.settings],
        ),
    ):
        for value in asked or ():
            check(f"{kind} of {' and '.join(targets)}", value, sorted(set(offered)))


def _is_offered(setting: str, targets: Mapping[str, TargetOffer]) -> bool:
    return any(target.offers(setting) for target in targets.values())


def _require_few(profile: Profile, chosen: Chosen, targets: Mapping[str, TargetOffer]) -> None:
    """Raises UserError where the axes multiply to more than anybody runs; nothing is made for it."""
    if (width := sum(_width(profile, chosen, *found) for found in targets.items())) > MOST_COLUMNS:
        raise _too_many("columns", width, MOST_COLUMNS)
    models = 0
    for block in profile.models:
        axes = (
            chosen.variants or block.variants,
            chosen.tasks or block.tasks,
            chosen.batches or block.batches,
            chosen.resolutions or block.resolutions,
            chosen.dtypes or block.dtypes,
            chosen.weights or block.weights or (None,),
        )
        models += prod(map(len, axes))
    if models * width > MOST_CASES:
        raise _too_many("cases", models * width, MOST_CASES)


def _too_many(what: str, count: int, most: int) -> UserError:
    return UserError(f"the axes of the profile multiply to {count:,} {what}; {most:,} are the most there may be")


def _width(profile: Profile, chosen: Chosen, spec: str, target: TargetOffer) -> int:
    """How many columns a target has at most."""
    axes = profile.target.get(spec, TargetAxes())
    chances: tuple[Sequence[object], ...] = (
        chosen.hardware or axes.hardware or target.hardware,
        (chosen.sdks or axes.sdks or target.sdks) if target.sdks else (None,),
        axes.settings if chosen.settings is None else chosen.settings,
        axes.workarounds if chosen.workarounds is None else chosen.workarounds,
    )
    return prod(map(len, chances))


def _subjects(block: Models, chosen: Chosen, system: SystemAxes) -> Iterator[Subject]:
    """The block's models at each shape and dtype, checked."""
    variants = [check(f"{system.name} variant", v, system.variants) for v in chosen.variants or block.variants]
    tasks = [check(f"{system.name} task", t, system.tasks) for t in chosen.tasks or block.tasks]
    batches = chosen.batches or block.batches
    weights: Sequence[str | None] = chosen.weights or block.weights or [None]
    dtypes = [check("dtype", LONG_DTYPES.get(d, d), SHORT_DTYPES) for d in chosen.dtypes or block.dtypes]
    sizes = {task: [_size(r, system.stride(task)) for r in chosen.resolutions or block.resolutions] for task in tasks}
    for variant, task, batch, spec in product(variants, tasks, batches, weights):
        for (height, width), dtype in product(sizes[task], dtypes):
            check_size(batch, height, width)
            name = weights_name(spec) if spec else None
            yield Subject(system.name, variant, task, batch, height, width, dtype, name)


def _size(text: str, stride: int) -> tuple[int, int]:
    height, width = parse_resolution(text)
    check_stride(height, width, stride)
    return height, width
