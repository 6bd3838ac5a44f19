"""Measure what torch-xla does with each operator, and write the table: `python -m conformance.operators.measure`.

Every call runs on the CPU, where its operators are written down with what they are given. Each of them is then run
alone on torch-xla's lazy device: what torch-xla counts as computed on the CPU meanwhile has no lowering. An operator
that can be written in place is also measured so. Functionalization is fixed when torch-xla is loaded, so that each of
its settings has a process of its own. Needs the torch-xla environment.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import DispatchKey
from torch.utils._pytree import tree_leaves, tree_map

from conformance.core.text import json_by_line
from conformance.graphs.fx_match import calls
from conformance.operators.calls import CALLS
from conformance.operators.database import names
from conformance.operators.given import noise
from conformance.operators.parts import is_composite, written_down
from conformance.operators.samples import made
from conformance.operators.table import TORCH_XLA, Fate, OperatorRow, OperatorTable

_OF_TORCH = "torch."  # before the name of a call that is one of torch's samples
PACKAGES = ("torch-xla", "torch", "torchvision")


@dataclass(frozen=True)
class CallFate:
    """The fate of an operator in a call, with one setting of functionalization."""

    operator: str
    call: str
    fate: Fate
    error: str | None


def main(
    output: Annotated[Path, typer.Option(help="The file that is written.")] = TORCH_XLA,
) -> None:
    """Measure every operator of every call."""
    table = OperatorTable(
        package="torch-xla",
        holds_for=">=2.9",  # until a release is seen that does otherwise
        versions={name: version(name) for name in PACKAGES},
        measured=datetime.now(timezone.utc).date(),
        rows=rows([*CALLS, *sampled_calls()]),
    )
    output.write_text(as_json(table))
    typer.echo(f"wrote {output}: {len(table.rows)} rows")


def sampled_calls() -> list[str]:
    """A call for each sample of torch's own that is taken as it is, `torch.add/0`."""
    return [
        f"{_OF_TORCH}{name}/{sample.name}"
        for name in names()
        for sample in made(name, "float32")
        if sample.name.isdigit()
    ]


def _call(name: str) -> tuple[Callable[..., object], tuple[torch.Tensor, ...]]:
    """A call and what it is given."""
    if not name.startswith(_OF_TORCH):
        return CALLS[name], (noise(),)
    operator, _, number = name.removeprefix(_OF_TORCH).rpartition("/")
    (sample,) = (one for one in made(operator, "float32") if one.name == number)
    return sample.module, sample.inputs


def rows(calls: Sequence[str]) -> list[OperatorRow]:
    """Of each operator of these calls: one for each of the fates it has, with the first call that shows it."""
    found: dict[tuple[str, Fate, Fate], OperatorRow] = {}
    for off, on in zip(measured(calls, False), measured(calls, True), strict=True):
        row = OperatorRow(operator=off.operator, call=off.call, off=off.fate, on=on.fate, error=off.error or on.error)
        found.setdefault((row.operator, row.off, row.on), row)
    return sorted(found.values(), key=lambda row: (row.operator, row.call))


def measured(calls: Sequence[str], functionalization: bool) -> list[CallFate]:
    """Every operator of these calls, in a process of its own."""
    variables = {"PJRT_DEVICE": "CPU", "XLA_DISABLE_FUNCTIONALIZATION": str(int(not functionalization))}
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context, _set, (variables,)) as process:
        return process.submit(_measured, tuple(calls)).result()


def _set(variables: dict[str, str]) -> None:
    os.environ.update(variables)


def as_json(table: OperatorTable) -> str:
    """A line for each row, so that a later measurement can be compared."""
    return json_by_line(table.model_dump(mode="json", exclude_none=True), "rows")


def _measured(calls: Sequence[str]) -> list[CallFate]:
    import torch_xla  # noqa: F401  # its kernels are registered

    logging.disable(logging.ERROR)  # of torch.export, which fails where it fails
    warnings.simplefilter("ignore")  # of operators that are new, or old
    with torch.no_grad():
        return [
            CallFate(func.name(), call, *_fate(func, args, kwargs))
            for call in calls
            for written in _operators_of(call)
            for func, args, kwargs in (written, *_in_place(*written))
        ]


def _operators_of(call: str) -> list[tuple[Any, Any, Any]]:
    """The operators of a call on the CPU, each with copies of its arguments."""
    operators: list[tuple[Any, Any, Any]] = []
    with written_down(lambda func, args, kwargs: operators.append((func, *_copied((args, kwargs))))):
        function, given = _call(call)
        function(*given)
    return [*_own_kernels(call), *operators]


def _own_kernels(call: str) -> list[tuple[Any, Any, Any]]:
    """Those that torch writes in others and torch-xla has a kernel for nevertheless. Only torch.export shows them."""
    operators: list[tuple[Any, Any, Any]] = []

    class Own(torch.fx.Interpreter):
        def call_function(self, func: Any, args: Any, kwargs: Any) -> Any:
            keys = (DispatchKey.XLA, DispatchKey.AutogradXLA)
            if is_composite(func) and any(map(func.has_kernel_for_dispatch_key, keys)):
                operators.append((func, *_copied((args, kwargs))))
            return super().call_function(func, args, kwargs)

    try:
        function, given = _call(call)
        module = torch.export.export(calls(function), given, strict=False).module()
    except Exception:  # noqa: BLE001 (torch.export has many; what depends on values has none of these)
        return []
    Own(module).run(*given)
    return operators


def _in_place(func: Any, args: Any, kwargs: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The same operator that writes its result over what it is given, if there is one and it can be."""
    namespace, name = func._schema.name.split("::")
    packet = getattr(getattr(torch.ops, namespace), f"{name}_", None)
    overload = getattr(packet, func._schema.overload_name or "default", None)
    if overload is None or torch.Tag.inplace_view in overload.tags:
        return
    try:
        given, options = _copied((args, kwargs))
        overload(*given, **options)
    except Exception:  # noqa: BLE001 (shapes, dtypes or arguments that do not go with it)
        return
    yield overload, args, kwargs


def _fate(func: Any, args: Any, kwargs: Any) -> tuple[Fate, str | None]:
    """What torch-xla does with one operator."""
    import torch_xla
    from torch_xla.debug import metrics

    args, kwargs = _copied((args, kwargs), torch_xla.device())
    torch_xla.sync()
    metrics.clear_all()
    try:
        results = func(*args, **kwargs)
        left = [name for name in metrics.counter_names() if not name.startswith("xla::") and "::" in name]
        for result in tree_leaves(results):
            if isinstance(result, torch.Tensor):
                result.cpu()  # what cannot be lowered is refused only now
    except Exception as error:  # noqa: BLE001 (torch-xla raises what it likes)
        return Fate.REFUSED, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return (Fate.CPU if left else Fate.LOWERED), None


def _copied(given: Any, device: Any = None) -> Any:
    """Arguments with a copy of every tensor, on another device if one is given."""

    def copied(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.clone() if device is None else value.clone().to(device)
        return device if device is not None and isinstance(value, torch.device) else value

    return tree_map(copied, given)


if __name__ == "__main__":
    typer.run(main)
