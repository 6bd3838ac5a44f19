"""YOLOv13, our own network, with seeded and calibrated weights."""

from __future__ import annotations

from importlib.metadata import version

import torch

from conformance.core.store import digest
from conformance.models.attention import Attend, choose, math
from conformance.models.yolov13.convolution import fuse
from conformance.models.yolov13.network import SCALES, Network
from conformance.systems.building.calibration import calibrate_batch_norm, give_weights, scale_outputs
from conformance.systems.building.images import crops
from conformance.systems.building.images import images as inputs
from conformance.systems.detectors import ATTENTION_TASKS
from conformance.systems.protocol import Model
from conformance.systems.yolov13 import YoloV13

__all__ = ["build", "inputs", "parameters"]

SEED = 0
# Raise this when the network or what is below changes the weights: it is part of their name in the cache.
RECIPE = 1


def build(variant: str, task: str, weights: str | None) -> Model:
    """Fused; the attention that was asked for and the one that is used are in the notes."""
    backend = choose(ATTENTION_TASKS[task])
    made_from = {"system": YoloV13.name, "variant": variant, "seed": SEED, "recipe": RECIPE}
    made_from |= {name: version(name) for name in ("ultralytics", "torch")}
    module = _construct(variant, backend.attend)
    key = give_weights(module, made_from, f"{YoloV13.name}{variant}", _calibrate)
    fuse(module.eval())
    module.requires_grad_(False)
    key = digest({"weights": key, "attention": backend.used})
    return Model(module, YoloV13().layers(variant, task), key, notes=(backend.note,))


def parameters(variant: str, task: str) -> int:
    """The same for every attention."""
    return sum(parameter.numel() for parameter in _construct(variant, math).parameters())


def _construct(variant: str, attend: Attend) -> Network:
    """The seeded network, before calibration."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Network(SCALES[variant], attend)


def _calibrate(network: Network) -> None:
    """Batch-norm statistics from crops; then boxes of some cells' size and scores between almost 0 and 1."""
    batches = [crops(4, 320, 320, index) for index in (100, 101)]
    calibrate_batch_norm(network, batches)
    for branch, mean, std in (("boxes", 0.0, 2.0), ("scores", -4.0, 1.5)):
        layers = [getattr(scale, branch)[-1] for scale in network.head.scales]
        scale_outputs(network, layers, batches[0], mean, std)
