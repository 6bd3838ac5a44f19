"""A program of torch.export from a file, with its modules again where they can be told apart."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from conformance.core.errors import UserError, first_line
from conformance.pt2.archive import checked_archive
from conformance.systems.building.user_model.found import Found
from conformance.systems.building.user_model.inputs import images


def of_file(path: Path, pictures: str | None) -> Found:
    """The program in a .pt2 file, which is checked before it is read. A file has no inputs that could be trusted:
    where it takes images it is given some, and anything else is drawn. Raises UserError."""
    archive = checked_archive(path)
    try:
        exported = torch.export.load(BytesIO(archive))
    except Exception as error:  # noqa: BLE001 (the reader has many)
        raise UserError(f"{path}: torch {torch.__version__} cannot read it: {first_line(error)}") from None
    wanted = _wanted(exported)
    return Found(
        _module(exported),
        lambda index: tuple(_input(shape, dtype, index, pictures) for shape, dtype in wanted),
        seeded=False,
        key=hashlib.sha256(archive).hexdigest(),
    )


def _module(exported: Any) -> nn.Module:
    """With the tree of modules that it was exported from or, where it cannot be had, without."""
    try:
        return torch.export.unflatten(exported)
    except Exception:  # noqa: BLE001 (of what it cannot part there are many kinds)
        return exported.module()  # type: ignore[no-any-return]


def _wanted(exported: Any) -> list[tuple[tuple[int, ...], torch.dtype]]:
    """Shape and dtype of each input; of a size that is not fixed, its example or the smallest that is none."""
    names = set(exported.graph_signature.user_inputs)
    given = [node.meta["val"] for node in exported.graph.find_nodes(op="placeholder") if node.name in names]
    if odd := next((value for value in given if not isinstance(value, Tensor)), None):
        raise UserError(f"one of its inputs is {type(odd).__name__}: programs of tensors alone can be judged")
    return [(tuple(_size(exported, size) for size in value.shape), value.dtype) for value in given]


def _size(exported: Any, size: Any) -> int:
    if isinstance(size, int):
        return size
    if (hint := size.node.hint) is not None:
        return int(hint)
    limits = exported.range_constraints.get(size.node.expr)
    return 2 if limits is None else int(max(2, limits.lower))


def _input(shape: tuple[int, ...], dtype: torch.dtype, index: int, pictures: str | None) -> Tensor:
    """The n-th input of a shape: images where that is what it is."""
    if dtype.is_floating_point and len(shape) == 4:
        batch, channels, height, width = shape
        return images(batch, (height, width), index, channels, folder=pictures).to(dtype)
    generator = torch.Generator().manual_seed(index)
    if dtype.is_floating_point:
        return torch.rand(shape, generator=generator).to(dtype)
    return torch.randint(0, 2, shape, generator=generator).to(dtype)
