"""The systems that are installed: what they are, and whether their weights can tell right from wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from conformance.cases.case import SHORT_DTYPES, Subject, check_size, model_name
from conformance.cases.outcome import Conditioning
from conformance.core.errors import UserError, check
from conformance.core.loading import why_missing
from conformance.systems.loading import load_system, system_names

if TYPE_CHECKING:
    from conformance.core.groups import Group
    from conformance.systems.protocol import System


@dataclass(frozen=True)
class Listed:
    """One system. `groups` are the names of the output groups of each task, of its first variant; `parameters` are
    of its smallest and its largest model, None where it is missing something."""

    name: str
    variants: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    licence: str
    missing: str | None
    parameters: tuple[int, int] | None


@dataclass(frozen=True)
class Checked:
    """One model: for each dtype, the layer at which another image is nearest to the reference."""

    model: str
    layers: int
    conditioning: dict[str, Conditioning] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        """Whether the whole network can be judged in float32: no verdict on it would mean anything otherwise."""
        return self.conditioning["float32"].sufficient


def chosen(names: Iterable[str] | None) -> list[str]:
    """The systems of these names that can be built here, or all that can. Raises UserError for one that cannot."""
    reasons = {name: why_missing(load_system(name)) for name in names or system_names()}
    if names and (reason := next(filter(None, reasons.values()), None)):
        raise UserError(reason)
    return [name for name, reason in reasons.items() if reason is None]


def listed(names: Iterable[str] | None = None) -> Iterator[Listed]:
    """The systems of these names, or all; each is constructed to count its parameters, and not calibrated."""
    for name in names or system_names():
        system = load_system(name)
        if not (system.variants and system.tasks):
            raise UserError(f"{name} has no variant, or no task")
        missing = why_missing(system)
        counts = [] if missing else _parameters(system)
        ends = (min(counts), max(counts)) if counts else None
        groups = {task: _names(system.groups(system.variants[0], task)) for task in system.tasks}
        yield Listed(system.name, system.variants, groups, system.licence, missing, ends)


def checked(
    name: str, variants: Iterable[str] | None, tasks: Iterable[str] | None, size: int, tell: Callable[[str], None]
) -> Iterator[Checked]:
    """The models of a system, by default every task of its first variant, on two images of `size` pixels squared."""
    from conformance.running.comparison import ReferenceModel

    system = load_system(name)
    wanted = [check(f"{name} variant", v, system.variants) for v in variants or system.variants[:1]]
    of = [check(f"{name} task", t, system.tasks) for t in tasks or system.tasks]
    for variant, task in product(wanted, of):
        check_size(2, size, size)
        if size % system.stride(task):
            raise UserError(f"size {size} is not divisible by {system.stride(task)}, the stride of {name} {task}")
        tell(model := model_name(system.name, variant, task))
        subject = Subject(system.name, variant, task, 2, size, size, "float32")
        built = system.build(variant, task)
        found = ReferenceModel(system, built, subject).conditioning(tuple(SHORT_DTYPES))
        yield Checked(model, len(built.layers), found)


def _names(groups: Iterable[Group] | None) -> tuple[str, ...]:
    return tuple(group.name for group in groups or ())


def _parameters(system: System) -> list[int]:
    """Of every model of the first and the last variant, from disk where they were counted before."""
    from importlib.metadata import version

    from conformance.core.store import Store, digest

    ends = (system.variants[0], system.variants[-1])
    made_from = {"system": system.name, "variants": ends, "tasks": system.tasks, "torch": version("torch")}
    store, key = Store("parameters"), digest(made_from)
    with store.lock(key):
        if (entry := store.load(key)) is None:
            counts = [system.parameters(variant, task) for variant, task in product(ends, system.tasks)]
            store.save(key, {}, {"counts": counts})
            return counts
    return list(entry[1]["counts"])
