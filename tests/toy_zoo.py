"""A source of architectures, of which some are healthy and each of the others fails in a way of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor, nn

from conformance.systems.architecture import Architecture
from conformance.systems.building.zoo.architecture import made


class Healthy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"features": self.stem(x)}


class Splits(Healthy):
    """Has a defect: pieces of rows, in more than one channel."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        first, second = self.stem(x).split([4, 10], 2)
        return {"first": first, "second": second}


class Decides(Healthy):
    """What it does depends on what is in the images."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return super().forward(x if x.mean() > 0 else -x)


class Prints(Healthy):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        print("I am built")
        os.write(2, b"and I say so\n")
        return super().forward(x)


def unbuildable() -> NoReturn:
    raise ImportError("toykernels is not installed\nat all")


def crashes() -> NoReturn:
    os._exit(3)


def hangs() -> NoReturn:
    time.sleep(600)
    raise AssertionError


def needs_too_much() -> nn.Module:
    return nn.Linear(1, 1).to(torch.float64) if torch.empty(2**60) is None else nn.ReLU()


_ALL: dict[str, Callable[[], nn.Module]] = {
    "healthy": Healthy,
    "splits": Splits,
    "decides": Decides,
    "prints": Prints,
    "unbuildable": unbuildable,
    "crashes": crashes,
    "hangs": hangs,
    "needs-too-much": needs_too_much,
}


def names() -> list[str]:
    return sorted(_ALL)


def build(name: str, fake: bool = False) -> Architecture:
    return Architecture(made(_ALL[name], fake), (16, 24), fixed=name == "splits")
