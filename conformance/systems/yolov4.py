"""YOLOv4 and its tiny variant, from the Darknet cfg files inside libreyolo (MIT; optional, imported here only)."""

from __future__ import annotations

import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.cases.case import Subject
from conformance.registry import missing_packages
from conformance.systems.protocol import Group, Model

if TYPE_CHECKING:
    from torch import Tensor, nn

SEED = 0
# Raise this when what is below changes the weights: it is part of their name in the cache.
RECIPE = 1
FILES = {"tiny": "yolov4-tiny", "full": "yolov4"}
STRIDES = {"tiny": (32, 16), "full": (8, 16, 32)}  # of the heads, in the order of the outputs
ANCHORS, CLASSES = 3, 80
# Sections of a cfg file that become a module which runs; a route or a shortcut is done by the network itself.
COMPUTING = ("convolutional", "maxpool", "upsample")


class Yolov4:
    """(B, 3, H, W) images to the raw heads, one for each scale, (B, 3 anchors, 85, H / stride, W / stride): 4 box
    numbers, objectness and 80 class logits. Decoding stays on the CPU, as in the published Inferentia deployment."""

    name = "yolov4"
    variants = ("tiny", "full")
    tasks = ("detect",)
    licence = "MIT (libreyolo); cfg files of Darknet, public domain"

    def missing(self) -> str | None:
        """What to install where libreyolo is not, or ultralytics, whose photographs are the input."""
        packages = {"libreyolo": "yolov4", "torchvision": "yolov4", "ultralytics": "yolo"}
        return missing_packages(packages, self.name)

    def stride(self, task: str) -> int:
        """That of the coarsest scale."""
        return 32

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """Convolution blocks, pools and upsamplings, `net.layers.0` being the first; none without libreyolo."""
        package = find_spec("libreyolo")
        if package is None or package.origin is None:
            return ()
        cfg = Path(package.origin).parent / "models" / "darknet" / "cfgs" / f"{FILES[variant]}.cfg"
        sections = re.findall(r"^\[(\w+)\]", cfg.read_text(), flags=re.MULTILINE)[1:]  # the first is [net]
        return tuple(f"net.layers.{index}" for index, kind in enumerate(sections) if kind in COMPUTING)

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """Three of each head."""
        return tuple(
            Group(f"{part} at stride {stride}", output, dim=2, start=start, stop=stop)
            for output, stride in enumerate(STRIDES[variant])
            for part, start, stop in (("boxes", 0, 4), ("objectness", 4, 5), ("classes", 5, 5 + CLASSES))
        )

    def build(self, variant: str, task: str) -> Model:
        """The network with its heads' channels taken apart."""
        from conformance.systems.calibration import give_weights

        made_from = {"system": self.name, "variant": variant, "seed": SEED, "recipe": RECIPE}
        made_from |= {name: version(name) for name in ("libreyolo", "torch")}
        module = _construct(FILES[variant])
        key = give_weights(module, made_from, FILES[variant], _calibrate)
        module.eval().requires_grad_(False)
        return Model(module, self.layers(variant, task), key)

    def parameters(self, variant: str, task: str) -> int:
        """Of the convolutions and their norms."""
        return sum(parameter.numel() for parameter in _construct(FILES[variant]).parameters())

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """Crops of photographs, or scenes for weights that were trained on them, (B, 3, H, W) float32 in 0..1."""
        from conformance.systems.images import images

        return images(subject, index)


def _construct(file: str) -> Any:
    """The seeded network before calibration."""
    import torch
    from torch import nn

    from conformance.torchvision_ops import own_kernels

    own_kernels()  # libreyolo imports torchvision
    from libreyolo.models.darknet import build_darknet

    class Heads(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            return tuple(head.unflatten(1, (ANCHORS, 5 + CLASSES)) for head in self.net(images))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Heads(build_darknet(file))


def _calibrate(module: nn.Module) -> None:
    """Batch-norm statistics of crops of photographs, and heads whose numbers cross their sigmoids."""
    import torch

    from conformance.systems.calibration import scale_outputs
    from conformance.systems.images import crops

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
