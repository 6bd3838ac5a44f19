"""The architectures of timm (Apache-2.0; optional, imported here only)."""

from __future__ import annotations

from conformance.core.errors import check
from conformance.models.torchvision_ops import own_kernels
from conformance.systems.architecture import Architecture
from conformance.systems.building.zoo.architecture import made

own_kernels()  # it imports torchvision

import timm  # noqa: E402


def names() -> list[str]:
    """Every one, by the name of the architecture alone, without that of weights."""
    return list(timm.list_models())


def build(name: str, fake: bool = False) -> Architecture:
    """The architecture of a name, without values where it is `fake`. Raises UserError."""
    check("architecture of timm", name, names())
    module = made(lambda: timm.create_model(name, pretrained=False), fake)
    about = getattr(module, "pretrained_cfg", None) or {}
    channels, height, width = about.get("input_size") or (3, 224, 224)
    return Architecture(module, (height, width), bool(about.get("fixed_input_size")), channels)
