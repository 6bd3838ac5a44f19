"""A module as it was found, before anything is done to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from conformance.core.groups import Group

# The n-th of a model's own inputs.
Inputs = Callable[[int], "tuple[Tensor, ...]"]


@dataclass(frozen=True)
class Found:
    """`inputs` are its own; None where it is given images, which have `channels` and are `normalised` as torchvision
    does it, of the size `resolution`, where it has one of its own. `seeded`: whether its weights are those of a
    constructor; None where that has to be told from them. `key` names weights and, where it is not a user's code,
    structure; None where it has to be made from what is there. `rows`, `detector` and `notes` are those of a
    `conformance.Model`.
    """

    module: nn.Module
    inputs: Inputs | None = None
    resolution: tuple[int, int] | None = None
    channels: int = 3
    normalised: bool = False
    seeded: bool | None = None
    key: str | None = None
    groups: tuple[Group, ...] | None = None
    rows: tuple[int, ...] = ()
    detector: str | None = None
    notes: tuple[str, ...] = ()
