"""YOLOv4, from the Darknet cfg files inside libreyolo (MIT; optional, imported here only)."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from conformance.models.torchvision_ops import own_kernels
from conformance.systems.building.calibration import give_weights, scale_outputs
from conformance.systems.building.images import crops
from conformance.systems.building.images import images as inputs
from conformance.systems.protocol import Model
from conformance.systems.yolov4 import ANCHORS, CLASSES, FILES, Yolov4

__all__ = ["build", "inputs", "parameters"]

SEED = 0
# Raise this when what is below changes the weights: it is part of their name in the cache.
RECIPE = 1


class Heads(nn.Module):
    """The network with its heads' channels taken apart: (B, 3 anchors, 85, h, w) each."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(head.unflatten(1, (ANCHORS, 5 + CLASSES)) for head in self.net(images))


def build(variant: str, task: str, weights: str | None) -> Model:
    """The network with its heads' channels taken apart."""
    made_from = {"system": Yolov4.name, "variant": variant, "seed": SEED, "recipe": RECIPE}
    made_from |= {name: version(name) for name in ("libreyolo", "torch")}
    module = _construct(FILES[variant])
    key = give_weights(module, made_from, FILES[variant], _calibrate)
    module.eval().requires_grad_(False)
    return Model(module, Yolov4().layers(variant, task), key)


def parameters(variant: str, task: str) -> int:
    """Of the convolutions and their norms."""
    return sum(parameter.numel() for parameter in _construct(FILES[variant]).parameters())


def _construct(file: str) -> Any:
    """The seeded network before calibration."""
    own_kernels()  # libreyolo imports torchvision
    from libreyolo.models.darknet import build_darknet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Heads(build_darknet(file))


def _calibrate(module: nn.Module) -> None:
    """Batch-norm statistics of crops of photographs, and heads whose numbers cross their sigmoids."""
    images = crops(8, 320, 320, 100)
    blocks: list[Any] = [block for block in module.modules() if type(block).__name__ == "DarknetConv"]
    norms: list[Any] = [block.bn for block in blocks if block.bn is not None]
    # libreyolo's batch norm learns nothing in training mode: each takes the statistics of what reaches it, in turn.
    handles = [norm.register_forward_pre_hook(_take_statistics) for norm in norms]
    with torch.no_grad():
        module(images)
    for handle in handles:
        handle.remove()
    scale_outputs(module, (block.conv for block in blocks if block.bn is None), images, mean=0.0, std=1.5)


def _take_statistics(norm: Any, given: tuple[Tensor, ...]) -> None:
    norm.running_mean.copy_(given[0].mean((0, 2, 3)))
    norm.running_var.copy_(given[0].var((0, 2, 3)))
