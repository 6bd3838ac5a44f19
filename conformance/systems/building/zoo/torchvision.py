"""The architectures of torchvision (BSD-3-Clause; optional, imported here only) that take images."""

from __future__ import annotations

from typing import Any

from conformance.core.errors import check
from conformance.models.torchvision_ops import own_kernels
from conformance.systems.architecture import Architecture
from conformance.systems.building.zoo.architecture import made

own_kernels()  # before it is imported for the first time

from torchvision import models  # noqa: E402

_KINDS = (models, models.detection, models.segmentation)
# Of detectors, which scale images themselves: what they scale to; else the shorter side of the rest is 800 pixels.
_SCALED = {"ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320, "fasterrcnn_mobilenet_v3_large_320_fpn": 320}
_SHORTER_SIDE = 800
_FIXED = ("vit_", "maxvit_")


def names() -> list[str]:
    """Classifiers, detectors and segmentation; not what is quantised, nor flow and video, which take other inputs."""
    return sorted(name for kind in _KINDS for name in models.list_models(kind))


def build(name: str, fake: bool = False) -> Architecture:
    """The architecture of a name, without values where it is `fake`. A detector is given a batch as a tensor. Raises
    UserError."""
    check("architecture of torchvision", name, names())
    given = {"weights": None} | ({} if name in models.list_models(models) else {"weights_backbone": None})
    module = made(lambda: models.get_model(name, **given), fake)
    detects = name in models.list_models(models.detection)
    its_own: int | None = getattr(module, "image_size", None)
    size = _SCALED.get(name, _SHORTER_SIDE) if detects else its_own or _trained_size(name)
    return Architecture(module, (size, size), fixed=name.startswith(_FIXED), normalised=not detects)


def _trained_size(name: str) -> int:
    """Height and width of the images that its weights were evaluated on; 224 where there are none."""
    weights: Any = list(models.get_model_weights(name))
    given = weights[0].transforms.keywords if weights else {}
    return int(given.get("crop_size") or given.get("resize_size") or 224)
