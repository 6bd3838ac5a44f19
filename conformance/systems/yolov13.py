"""YOLOv13, our own network (`conformance.models.yolov13`), with three ways to compute its area attention."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from conformance.cases.case import Subject
from conformance.registry import missing_packages
from conformance.systems.attention import TASKS
from conformance.systems.groups import BOXES, SCORES
from conformance.systems.protocol import Group, Model

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.models.yolov13.network import Network
    from conformance.systems.attention import Attend

SEED = 0
# Raise this when the network or what is below changes the weights: it is part of their name in the cache.
RECIPE = 1
LAYERS = (
    "down1", "down2", "stage2", "down3", "stage3", "down4", "stage4", "down5", "stage5",
    "hyperace.fusion", "hyperace.high.0", "hyperace.high.1", "hyperace.low", "hyperace",
    "spread3", "spread4", "spread5", "into_neck3", "into_neck4", "into_neck5",
    "up4", "in_neck4", "up3", "into_head3", "neck4", "into_head4", "neck5", "into_head5",
    "head.scales.0", "head.scales.1", "head.scales.2", "head",
)  # fmt: skip


class YoloV13:
    """Detection: (B, 3, H, W) images to (B, 84, anchors), 4 box rows in pixels and 80 class scores."""

    name = "yolov13"
    variants = ("n", "s", "l", "x")
    tasks = tuple(TASKS)
    licence = "Apache-2.0 (photographs from ultralytics)"

    def missing(self) -> str | None:
        """What to install where the photographs are not."""
        return missing_packages({"ultralytics": "yolo"}, self.name)

    def stride(self, task: str) -> int:
        """That of the coarsest scale."""
        return 32

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The stages, HyperACE and its branches, the tunnels, the head and its scales. What is wrong with an
        attention hardly shows beside the rounding of its stage: each is a layer of its own."""
        pairs = 4 if variant in ("l", "x") else 2
        attention = {
            stage: [f"{stage}.chain.{pair}.{place}.attention" for pair in range(pairs) for place in (0, 1)]
            for stage in ("stage4", "stage5")
        }
        return tuple(path for layer in LAYERS for path in (*attention.get(layer, ()), layer))

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """The same for every attention."""
        return (BOXES, SCORES)

    def build(self, variant: str, task: str) -> Model:
        """Fused; the attention that was asked for and the one that is used are in the notes."""
        from conformance.models.yolov13.convolution import fuse
        from conformance.store import digest
        from conformance.systems.attention import choose
        from conformance.systems.calibration import give_weights

        backend = choose(TASKS[task])
        made_from = {"system": self.name, "variant": variant, "seed": SEED, "recipe": RECIPE}
        made_from |= {name: version(name) for name in ("ultralytics", "torch")}
        module = _construct(variant, backend.attend)
        key = give_weights(module, made_from, f"{self.name}{variant}", _calibrate)
        fuse(module.eval())
        module.requires_grad_(False)
        key = digest({"weights": key, "attention": backend.used})
        return Model(module, self.layers(variant, task), key, notes=(backend.note,))

    def parameters(self, variant: str, task: str) -> int:
        """The same for every attention."""
        from conformance.systems.attention import math

        return sum(parameter.numel() for parameter in _construct(variant, math).parameters())

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """Crops of photographs, (B, 3, H, W) float32 in 0..1."""
        from conformance.systems.images import images

        return images(subject, index)


def _construct(variant: str, attend: Attend) -> Network:
    """The seeded network, before calibration."""
    import torch

    from conformance.models.yolov13.network import SCALES, Network

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Network(SCALES[variant], attend)


def _calibrate(network: Network) -> None:
    """Batch-norm statistics from crops; then boxes of some cells' size and scores between almost 0 and 1."""
    from conformance.systems.calibration import calibrate_batch_norm, scale_outputs
    from conformance.systems.images import crops

    batches = [crops(4, 320, 320, index) for index in (100, 101)]
    calibrate_batch_norm(network, batches)
    for branch, mean, std in (("boxes", 0.0, 2.0), ("scores", -4.0, 1.5)):
        layers = [getattr(scale, branch)[-1] for scale in network.head.scales]
        scale_outputs(network, layers, batches[0], mean, std)
