"""The systems as a table: in a terminal, in Markdown, as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Column, Table

from conformance.cases.outcome import ENOUGH, Conditioning
from conformance.report.formatting import markdown_table

if TYPE_CHECKING:
    from conformance.commands.listing import Checked, Listed

HEADINGS = ("system", "variants", "tasks: output groups", "parameters", "licence")


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
