"""Models from the YAML files inside ultralytics (AGPL-3.0; optional, imported here only), with live weights."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from conformance.core.errors import UserError
from conformance.core.reading import fixture_path
from conformance.core.store import cache_folder, digest
from conformance.systems.building.calibration import calibrate_batch_norm, give_weights, scale_outputs, seed_norms
from conformance.systems.building.images import crops
from conformance.systems.building.weights import State, read_weights
from conformance.systems.protocol import Model

# Before it is imported, or it runs pip for what it misses, in an environment that is AWS's or the user's.
os.environ.setdefault("YOLO_AUTOINSTALL", "false")

from ultralytics.nn import tasks
from ultralytics.utils import LOGGER
from ultralytics.utils.downloads import attempt_download_asset

SEED = 0
# Raise this when what is below changes the weights: it is part of their name in the cache.
RECIPE = 3
# Last layer of a head's branch -> mean and deviation of what it gives: boxes of some cells' size, scores between
# almost 0 and 1, mask coefficients or angles (radians), keypoints (cells), logits of a classifier.
OUTPUTS = {
    "cv2": (4.0, 1.5),
    "cv3": (-4.0, 1.5),
    "cv4": (0.0, 0.5),
    "cv4_kpts": (0.0, 1.5),
    "linear": (0.0, 2.0),
}

# By what the last layer's name begins with, the first that fits: the class that builds the network.
_CLASSES = {
    "RTDETRDecoder": "RTDETRDetectionModel",
    "WorldDetect": "WorldModel",
    "YOLOEDetect": "YOLOEModel",
    "YOLOESegment": "YOLOESegModel",
    "SemanticSegment": "SemanticSegmentationModel",
    "Segment": "SegmentationModel",
    "Pose": "PoseModel",
    "OBB": "OBBModel",
    "Depth": "DepthModel",
    "Classify": "ClassificationModel",
}


@dataclass(frozen=True)
class Architecture:
    """A YAML file and the class of ultralytics.nn.tasks that reads it; `classes` None is the file's own number.

    `one_to_one` adds a head without suppression to a file that has none.
    """

    yaml: str
    kind: str = "DetectionModel"
    classes: int | None = 80
    one_to_one: bool = False


def build(architecture: Architecture, end2end: bool = False, weights: str | None = None) -> tuple[Any, str]:
    """The module as it is deployed, fused and with one head, and its key. `end2end` leaves the one-to-one head and
    its ranking in the module. `weights` are shapes, pretrained or a file; else seeded and calibrated ones. Raises
    UserError for weights that cannot be had or do not fit."""
    module, key = _calibrated(architecture) if weights is None else _filled(architecture, weights)
    if hasattr(module.model[-1], "end2end"):
        module.end2end = end2end  # before fuse(), which deletes the head that is not used
        module.model[-1].export = True  # the decoded outputs alone
    module.fuse(verbose=False)
    module.eval().requires_grad_(False)
    return module, digest({"weights": key, "end2end": end2end})


def detector(
    architecture: Architecture, layers: tuple[str, ...], end2end: bool, weights: str | None, detects: bool = True
) -> Model:
    """The model of a file, whose ranked rows are read as rows, and whose cells as cells; neither with seeded weights,
    nor where `detects` is False."""
    module, key = build(architecture, end2end, weights)
    rows, read_as = ((0,), "rows") if end2end else ((), "cells")
    return Model(module, layers, key, rows, detector=read_as if detects and weights is not None else None)


def construct(architecture: Architecture, classes: int | None = None) -> Any:
    """The seeded module with all its heads, before calibration."""
    LOGGER.setLevel("ERROR")  # it describes some models on stdout, however it is asked not to
    file = tasks.yaml_model_load(architecture.yaml)  # type: ignore[no-untyped-call]
    if architecture.one_to_one:
        file["end2end"] = True
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module = getattr(tasks, architecture.kind)(file, ch=3, nc=classes or architecture.classes, verbose=False)
        seed_norms(module)
    return module


def parameters(architecture: Architecture) -> int:
    """How many the model has with all its heads."""
    return sum(parameter.numel() for parameter in construct(architecture).parameters())


def _calibrated(architecture: Architecture) -> tuple[Any, str]:
    """The module with calibrated weights, from disk where they were made before, and the name of these weights."""
    made_from = asdict(architecture) | {"seed": SEED, "recipe": RECIPE}
    made_from |= {name: version(name) for name in ("ultralytics", "torch")}
    module = construct(architecture)
    return module, give_weights(module, made_from, architecture.yaml, calibrate)


def _filled(architecture: Architecture, weights: str) -> tuple[Any, str]:
    """The module with weights from a file, which also say how many classes it has; and the hash of the file."""
    path = _file(architecture, weights)
    state, key = read_weights(path)
    last = re.compile(r"(?:cv3\.0\.\d+|linear)\.bias$")
    classes = next((len(value) for name, value in state.items() if last.search(name)), None)
    module = construct(architecture, classes)
    if why := fill(module, state):
        raise UserError(f"weights {path} are not those of a {architecture.yaml}: {why}")
    return module, key


def fill(module: nn.Module, state: State) -> str | None:
    """Give a module weights that have to be all of its own, but for the counters of batches; why they are not, or
    None."""
    try:
        wanted = module.load_state_dict(state, strict=False)
    except RuntimeError:
        return "their shapes are others"
    absent = [name for name in wanted.missing_keys if not name.endswith("num_batches_tracked")]
    others = [*absent, *wanted.unexpected_keys]
    return f"see {', '.join(others[:3])}" if others else None


def class_of(head: str) -> str:
    """The class of ultralytics.nn.tasks for a network whose last layer has this name."""
    return next((made_by for begins, made_by in _CLASSES.items() if head.startswith(begins)), "DetectionModel")


def side_of(head: str) -> int:
    """Of the images, in pixels, that networks with this last layer are made for."""
    return 224 if head == "Classify" else 640


def as_exported(module: Any) -> Any:
    """The module as ultralytics exports it: for inference, fused, and with its decoded outputs alone."""
    for part in module.modules():
        if hasattr(part, "export"):
            part.export = True
    module.eval().fuse(verbose=False)
    return module


def _file(architecture: Architecture, weights: str) -> Path:
    """Where the weights are. Raises UserError where they cannot be had."""
    stem = Path(architecture.yaml).stem
    if weights == "shapes":
        path = fixture_path("weights", f"{stem}-shapes.safetensors")
        if not path.is_file():
            raise UserError(f"there are no shapes weights for {stem}, only for yolo26n: --variant n --task detect")
        return path
    if weights == "pretrained":
        return _fetched(f"{stem}.pt")
    return Path(weights)


def _fetched(name: str) -> Path:
    """The file of published weights, from the cache or the internet."""
    path = cache_folder() / "pretrained" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        attempt_download_asset(path)
        found = path.is_file()
    except Exception:  # noqa: BLE001 (of the network, of any kind)
        found = False
    if not found:
        raise UserError(f"cannot fetch {name}: is there internet? Weights of your own: --weights FILE")
    return path


def calibrate(module: Any) -> None:
    """Batch-norm statistics from crops of photographs; then outputs in a useful range."""
    batches = [crops(4, 320, 320, index) for index in (100, 101)]
    calibrate_batch_norm(module, batches)
    for branch, (mean, std) in OUTPUTS.items():
        scale_outputs(module, _last_layers(module.model[-1], branch), batches[0], mean, std)


def _last_layers(head: nn.Module, branch: str) -> list[nn.Conv2d | nn.Linear]:
    """The last layers of a branch, of every scale and of both heads: one-to-many and one-to-one."""
    found: list[nn.Conv2d | nn.Linear] = []
    for name in (branch, f"one2one_{branch}"):
        scales = getattr(head, name, None) or ()
        for scale in scales if isinstance(scales, nn.ModuleList) else [scales] if scales else []:
            last = scale[-1] if isinstance(scale, nn.Sequential) else scale
            if isinstance(last, (nn.Conv2d, nn.Linear)):  # Pose26's cv4 ends in a block that has a batch norm
                found.append(last)
    return found
