"""A partition in a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Column, Table

from conformance.partition.share import Cost, Cut, MeasuredPass, by_name

if TYPE_CHECKING:
    from rich.console import Console

_MOST = 12


def print_partition(measured: MeasuredPass, cuts: Sequence[Cut], console: Console) -> None:
    """Which operators cost how much before and after, and the share that each cut puts on the device."""
    console.print(f"{measured.model}: {measured.where}")
    console.print(_operators(measured, cuts))
    console.print(_cuts(measured, cuts))
    console.print("Time is what the operators took on this CPU, FLOPs are of convolutions and matrix products.")


def partition_json(measured: MeasuredPass, cuts: Sequence[Cut]) -> str:
    """Everything that was measured and, for each cut, cost on either side, ratio and bytes moved."""
    found = asdict(measured) | {"whole": asdict(measured.whole())}
    found["cuts"] = [
        {
            "programs": cut.programs,
            "on_device": asdict(measured.on_device(cut)),
            "on_cpu": asdict(measured.on_cpu(cut)),
            "ratio": asdict(measured.ratio(cut)),
            "bytes_moved": measured.moved(cut),
        }
        for cut in cuts
    ]
    return json.dumps(found, indent=2)


def _operators(measured: MeasuredPass, cuts: Sequence[Cut]) -> Table:
    """The dearest operators: of the whole model, and what each cut leaves of them on the CPU."""
    sides: dict[str, tuple[str, ...]] = {"whole model": ()}
    for cut in cuts:  # fused or not, the same is left
        if set(cut.parts) not in map(set, sides.values()):
            sides[f"left by {', '.join(cut.parts)}"] = cut.parts
    left = [by_name(o for o in measured.operators if o.part not in parts) for parts in sides.values()]
    table = Table(Column("operator", overflow="fold"), *sides, title="On the CPU: ms (calls)")
    names = list(left[0])
    for name in names[:_MOST]:
        table.add_row(name, *(_cost(costs, [name]) for costs in left))
    table.add_row(f"{len(names[_MOST:])} others", *(_cost(costs, names[_MOST:]) for costs in left), end_section=True)
    table.add_row("all", *(_cost(costs, names) for costs in left))
    return table


def _cost(costs: dict[str, Cost], names: Sequence[str]) -> str:
    found = [costs[name] for name in names if name in costs]
    return f"{sum(c.milliseconds for c in found):.1f} ({sum(c.calls for c in found)})" if found else "-"


def _cuts(measured: MeasuredPass, cuts: Sequence[Cut]) -> Table:
    """The share on the device, three ways."""
    table = Table("programs (+ is fused)", "calls", "FLOPs", "time", "MB moved", title="On the device")
    for cut in cuts:
        ratio = measured.ratio(cut)
        shares = (f"{share:.1%}" for share in (ratio.calls, ratio.flops, ratio.milliseconds))
        table.add_row(cut.name, *shares, f"{measured.moved(cut) / 1e6:.1f}")
    return table
