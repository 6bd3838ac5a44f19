"""The tensor that a call is given, and what calls make of it before an operator is reached."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Call = Callable[[Tensor], object]
SHAPE = (2, 8, 9, 11)


def noise() -> Tensor:
    """The tensor: float32, around 0."""
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))


def weights(x: Tensor, *shape: int) -> Tensor:
    count = torch.Size(shape).numel()
    return torch.linspace(-1, 1, count, device=x.device).view(shape)


def index(x: Tensor, *values: int) -> Tensor:
    return torch.tensor(values, device=x.device)


def square(x: Tensor) -> Tensor:
    """(2, 9, 9), symmetric and positive definite."""
    return x[:, 0, :, :9] @ x[:, 0, :, :9].mT + torch.eye(9, device=x.device) * 9


def row(x: Tensor) -> Tensor:
    """(2, 8, 99)."""
    return x.flatten(2)


def whole(x: Tensor) -> Tensor:
    """Whole numbers from 0 to 40."""
    return (x * 10 + 20).clamp(0, 40).long()


def written(write: Callable[[Tensor], object]) -> Call:
    """Writing into a copy of the tensor."""

    def call(x: Tensor) -> Tensor:
        y = x.clone()
        write(y)
        return y

    return call
