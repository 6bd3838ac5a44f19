"""Ultralytics' models of any family (AGPL-3.0; optional): from a checkpoint, of which nothing is run, or a YAML file.

A checkpoint says how its network is built: a list of layers by name, with plain arguments. That is checked before
ultralytics reads it, as some of its strings would be evaluated, or looked up among all that its module holds.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn
from ultralytics.nn import tasks
from ultralytics.utils import LOGGER

from conformance.core.errors import UserError, check, first_line
from conformance.core.groups import Group
from conformance.core.store import digest
from conformance.systems.building import ultralytics_models
from conformance.systems.building.calibration import give_weights, seed_norms
from conformance.systems.building.user_model.found import Found
from conformance.systems.building.weights import Checkpoint, read_checkpoint
from conformance.systems.building.zoo import ultralytics as zoo
from conformance.systems.detectors import BOXES, RANKED

_ACTIVATION = re.compile(r"(?:torch\.)?nn\.([A-Z]\w*)\((?:inplace=(?:True|False))?\)")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{0,63}")
_ROWS = 1000  # far more layers than any file has
# What networks keep beside their weights, and give in place of what a text encoder would.
_EMBEDDINGS = ("txt_feats", "pe")


def of_yaml(source: str) -> Found:
    """The network of a file of ultralytics', or of the user's, with calibrated weights. Raises UserError."""
    if len(Path(source).parts) == 1 and not Path(source).is_file():
        check("YAML file of ultralytics", Path(source).stem, zoo.names())
    try:
        file = tasks.yaml_model_load(source)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 (of files, YAML and names it has many)
        raise UserError(f"{source} cannot be read: {first_line(error)}") from None
    module = _constructed(source, file)
    made_from = {"yaml": _plain(file), "seed": ultralytics_models.SEED, "recipe": ultralytics_models.RECIPE}
    made_from |= {name: version(name) for name in ("ultralytics", "torch")}
    key = give_weights(module, made_from, source, ultralytics_models.calibrate)
    return _deployed(module, file, key)


def of_checkpoint(path: Path) -> Found:
    """The network of a checkpoint with its weights. Raises UserError for one that is none of ultralytics'."""
    saved = read_checkpoint(path)
    if not isinstance(saved.yaml, dict):
        raise UserError(
            f"{path} does not say how its network is built: it is no checkpoint of ultralytics 8 or newer"
        )
    module = _constructed(str(path), saved.yaml)
    if why := ultralytics_models.fill(module, saved.state):
        raise UserError(f"{path}: its weights are not those of the network that it describes: {why}")
    _give_embeddings(module, saved)
    found = _deployed(module, saved.yaml, saved.key)
    size = (saved.size, saved.size) if saved.size else found.resolution
    return replace(found, resolution=size, detector=_detector(module), notes=())


def _constructed(source: str, file: Mapping[str, Any]) -> Any:
    """The seeded network of a description, with all its heads. Raises UserError."""
    _require_harmless(source, file)
    kind = ultralytics_models.class_of(str(file["head"][-1][2]))
    LOGGER.setLevel("ERROR")  # it describes some models on stdout, however it is asked not to
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(ultralytics_models.SEED)
            module = getattr(tasks, kind)(copy.deepcopy(file), ch=file.get("channels", 3), verbose=False)
            seed_norms(module)
    except Exception as error:  # of what a description may have wrong, of any kind
        raise UserError(
            f"{source}: ultralytics {version('ultralytics')} cannot build it: {first_line(error)}"
        ) from error
    return module


def _deployed(module: Any, file: Mapping[str, Any], key: str) -> Found:
    """As ultralytics exports it: fused, the decoded outputs alone, ranked where the file says so."""
    head = module.model[-1]
    end2end = bool(file.get("end2end")) and hasattr(head, "one2one_cv2")
    if hasattr(type(module), "end2end") and hasattr(head, "one2one_cv2"):
        module.end2end = end2end  # before fuse(), which deletes the head that is not used
    ultralytics_models.as_exported(module)
    ranked = end2end or type(head).__name__ == "RTDETRDecoder"
    side = ultralytics_models.side_of(type(head).__name__)
    return Found(
        module,
        resolution=(side, side),
        channels=int(file.get("channels", 3)),
        seeded=False,
        key=digest({"weights": key, "end2end": end2end}),
        groups=tuple(_groups(head, ranked)),
        rows=(0,) if ranked else (),
        notes=("weights: seeded, and calibrated as those of the systems of this suite",),
    )


def _groups(head: nn.Module, ranked: bool) -> Iterator[Group]:
    """What the outputs of a head mean."""
    kind, classes = type(head).__name__, int(getattr(head, "nc", 0))
    if kind.startswith(("Classify", "SemanticSegment", "Depth")) or not classes:
        return
    more = {"Segment": "mask coefficients", "YOLOESegment": "mask coefficients", "Pose": "keypoints", "OBB": "angle"}
    further = next((name for begins, name in more.items() if kind.startswith(begins)), None)
    if ranked:
        yield from RANKED
        if further:
            yield Group(further, dim=2, start=6)
    else:
        yield from (BOXES, Group("scores", start=4, stop=4 + classes))
        if further:
            yield Group(further, start=4 + classes)
    if further == "mask coefficients":
        yield Group("protos", output=1)


def _detector(module: Any) -> str | None:
    """How its first output is read as detections; None where it is no detector of upright boxes."""
    kind = type(module.model[-1]).__name__
    if kind == "RTDETRDecoder":
        return None  # centres and sizes in shares of the image, which no reader of ours takes
    if kind not in ("Detect", "v10Detect", "WorldDetect", "YOLOEDetect"):
        return None
    return "rows" if module.model[-1].end2end else "cells"


def _give_embeddings(module: nn.Module, saved: Checkpoint) -> None:
    """What the network keeps beside its weights, where the checkpoint has it."""
    for name in _EMBEDDINGS:
        if isinstance(value := saved.attributes.get(name), torch.Tensor) and hasattr(module, name):
            setattr(module, name, value.float())


def _require_harmless(source: str, file: Mapping[str, Any]) -> None:
    """Raises UserError for a description with anything in it but layers by their names, and plain arguments."""
    if not all(isinstance(file.get(part), list) and file[part] for part in ("backbone", "head")):
        raise UserError(f"{source} describes no network: it has no backbone and head")
    if (activation := file.get("activation")) is not None:
        match = _ACTIVATION.fullmatch(str(activation))
        if not match or not _is_layer(getattr(nn, match[1], None)):
            raise UserError(f"{source}: its activation {str(activation)!r:.80} is none of torch.nn")
    rows = [*file["backbone"], *file["head"]]
    if len(rows) > _ROWS:
        raise UserError(f"{source} describes {len(rows)} layers; {_ROWS} are the most there may be")
    for row in rows:
        if not (isinstance(row, list | tuple) and len(row) == 4 and isinstance(row[3], list | tuple)):
            raise UserError(f"{source}: a layer is [from, number, module, arguments], and not {str(row)!r:.80}")
        _require_layer(source, str(row[2]))
        if not _is_plain(row[3]):
            raise UserError(f"{source}: arguments of {row[2]} are no plain values")


def _require_layer(source: str, name: str) -> None:
    prefix, _, last = name.rpartition(".")
    owners: dict[str, Any] = {"": tasks, "nn": nn, "torchvision.ops": None}
    if not _IDENTIFIER.fullmatch(last) or prefix not in owners or last == "TorchVision":
        raise UserError(f"{source}: {name!r:.80} is no layer that is built from a file here")
    if owners[prefix] is None:
        return  # torchvision's own operators, by their names
    layers = [one for one in vars(owners[prefix]) if _is_layer(getattr(owners[prefix], one))]
    check(f"layer in {source}", last, layers)


def _is_layer(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def _plain(value: Any) -> Any:
    """Of a YAML file: what JSON can say."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
