"""The YAML files inside ultralytics (AGPL-3.0; optional) in all their sizes, as it exports them."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from torch import nn
from ultralytics.nn import tasks
from ultralytics.utils import LOGGER

from conformance.core.errors import check
from conformance.models.torchvision_ops import own_kernels
from conformance.systems.architecture import Architecture
from conformance.systems.building.ultralytics_models import as_exported, class_of, side_of
from conformance.systems.building.zoo.architecture import made

_SIZE_STANDS_BEHIND = re.compile(r"yolo(?:e-)?v?\d+")


def names() -> list[str]:
    """A name for each size of each file: `yolo26n-seg`."""
    return sorted(_files())


def build(name: str, fake: bool = False) -> Architecture:
    """The architecture of a name, fused, with its decoded outputs alone; without values where it is `fake`. Of two
    heads it has the one that ultralytics exports, which does not rank. Raises UserError."""
    last = _files()[check("architecture of ultralytics", name, _files())]
    side = side_of(last)
    return Architecture(made(lambda: _deployed(name, class_of(last)), fake), (side, side), normalised=False)


def _deployed(name: str, kind: str) -> nn.Module:
    """The module of a file, ready to be exported."""
    LOGGER.setLevel("ERROR")  # it describes some models, however it is asked not to
    file = tasks.yaml_model_load(f"{name}.yaml")  # type: ignore[no-untyped-call]
    for *_, layer, given in file["backbone"]:
        if layer == "TorchVision":  # of which some files ask for published weights
            own_kernels()  # it imports torchvision
            given[2] = None
    module: Any = getattr(tasks, kind)(file, ch=3, verbose=False)
    return as_exported(module)  # type: ignore[no-any-return]


@cache
def _files() -> dict[str, str]:
    """The name of the last layer by the name of an architecture."""
    found: dict[str, str] = {}
    for path in sorted(_folder().glob("*/*.yaml")):
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
        *_, last, _ = said["head"][-1]
        found |= dict.fromkeys(_sizes(path.stem, said.get("scales") or {}), last)
    return found


def _folder() -> Path:
    return Path(str(files("ultralytics"))) / "cfg" / "models"


def _sizes(stem: str, scales: dict[str, Any]) -> list[str]:
    """`yolo26n-seg` and the others for `yolo26-seg`; the file's own name where that says a size already, or none."""
    begins = _SIZE_STANDS_BEHIND.match(stem)
    if begins is None or not scales or stem[begins.end() : begins.end() + 1] in scales:
        return [stem]
    return [f"{begins[0]}{size}{stem[begins.end() :]}" for size in scales]
