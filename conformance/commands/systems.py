"""`conformance systems`: the systems that are installed, and whether their weights can tell right from wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from itertools import product
from typing import Annotated

import typer
from rich.table import Column, Table

from conformance.cases import options
from conformance.cases.case import SHORT_DTYPES, Subject, check_size, model_name
from conformance.cases.outcome import ENOUGH, Conditioning
from conformance.commands.arguments import AsJson, console
from conformance.core.errors import UserError, check
from conformance.core.groups import Group
from conformance.core.loading import why_missing
from conformance.core.store import Store, digest
from conformance.report.formatting import markdown_table
from conformance.systems.loading import load_system, system_names
from conformance.systems.protocol import System

HEADINGS = ("system", "variants", "tasks: output groups", "parameters", "licence")


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


def chosen_systems(names: Iterable[str] | None) -> list[str]:
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

    ends = (system.variants[0], system.variants[-1])
    made_from = {"system": system.name, "variants": ends, "tasks": system.tasks, "torch": version("torch")}
    store, key = Store("parameters"), digest(made_from)
    with store.lock(key):
        if (entry := store.load(key)) is None:
            counts = [system.parameters(variant, task) for variant, task in product(ends, system.tasks)]
            store.save(key, {}, {"counts": counts})
            return counts
    return list(entry[1]["counts"])


def systems_table(systems: Sequence[Listed]) -> Table:
    """What they are, and what is missing here."""
    table = Table(*HEADINGS, "here")
    for system in systems:
        table.add_row(*_cells(system, "\n"), system.missing or "ready")
    return table


def systems_markdown(systems: Sequence[Listed]) -> str:
    """The same without what depends on the host: the table of the README."""
    return markdown_table(HEADINGS, (_cells(system, "<br>") for system in systems))


def systems_json(systems: Sequence[Listed]) -> str:
    """A list of objects."""
    return json.dumps([asdict(system) for system in systems], indent=2)


def check_table(models: Sequence[Checked]) -> Table:
    """For each dtype the weakest layer: how much further away another image is there than rounding."""
    dtypes = list(models[0].conditioning) if models else []
    caption = (
        "How many times further from the reference another image is than the dtype's rounding, in the weakest layer. "
        f"From {ENOUGH:g} on the whole network can be judged; below, only its layers alone."
    )
    table = Table(
        Column("model", no_wrap=True),
        "layers",
        *(Column(dtype, overflow="fold") for dtype in dtypes),
        caption=caption,
    )
    for model in models:
        table.add_row(model.model, str(model.layers), *map(_figure, model.conditioning.values()))
    return table


def check_json(models: Sequence[Checked]) -> str:
    """A list of objects: model, layers, conditioning by dtype."""
    return json.dumps(
        [
            {
                "model": model.model,
                "layers": model.layers,
                "conditioning": {dtype: found.model_dump() for dtype, found in model.conditioning.items()},
            }
            for model in models
        ],
        indent=2,
    )


def _figure(found: Conditioning) -> str:
    ratio = f"{found.ratio:.2g}"
    return f"{ratio if found.sufficient else f'[red]{ratio} < {ENOUGH:g}[/]'}\n{found.layer}"


def _cells(system: Listed, line_end: str) -> tuple[str, ...]:
    counts = "" if system.parameters is None else " to ".join(map(_millions, sorted(set(system.parameters))))
    return (system.name, " ".join(system.variants), line_end.join(_tasks(system)), counts, system.licence)


def _tasks(system: Listed) -> Iterator[str]:
    """`detect, detect-p2: boxes, scores`: a line for the tasks that have the same output groups."""
    for groups in dict.fromkeys(system.groups.values()):
        tasks = [task for task, found in system.groups.items() if found == groups]
        yield f"{', '.join(tasks)}: {_kinds(groups)}"


def _kinds(groups: Sequence[str]) -> str:
    """`features, deltas of every scale` for `features.0`, `features.1`, `deltas.0`, `deltas.1`."""
    kinds = list(dict.fromkeys(re.split(r"\.| at ", group)[0] for group in groups))
    return ", ".join(kinds) + (" of every scale" if len(kinds) < len(groups) else "")


def _millions(count: int) -> str:
    return f"{count / 1e6:.3g} M"


def main(
    system: Annotated[str | None, typer.Option(help="Systems, separated by commas; else all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Build them: is every layer alive?")] = False,
    variant: Annotated[str | None, typer.Option(help="With --check: variants; else each system's first.")] = None,
    task: Annotated[str | None, typer.Option(help="With --check: tasks; else all.")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="With --check: height and width of the images in pixels; else 320.")
    ] = None,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the table of the README.")] = False,
) -> None:
    """List the models under test; or check that their weights can tell a wrong answer from rounding."""
    options.at_most_one(as_json=as_json, markdown=markdown)
    options.at_most_one(check=check, markdown=markdown)
    options.only_with("--check", check, variant=variant is not None, task=task is not None, size=size is not None)
    names, variants, tasks = map(options.names, ("--system", "--variant", "--task"), (system, variant, task))
    if check:
        _check_systems(chosen_systems(names), variants, tasks, size or 320, as_json)
        return
    found = list(listed(names))
    if as_json or markdown:
        typer.echo(systems_json(found) if as_json else systems_markdown(found))
    else:
        console().print(systems_table(found))


def _check_systems(
    names: list[str], variants: list[str] | None, tasks: list[str] | None, size: int, as_json: bool
) -> None:
    found = [
        model
        for name in names
        for model in checked(name, variants, tasks, size, tell=lambda model: typer.echo(model, err=True))
    ]
    if as_json:
        typer.echo(check_json(found))
    else:
        console().print(check_table(found))
    raise typer.Exit(0 if all(model.alive for model in found) else 1)
