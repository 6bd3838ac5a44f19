"""The networks of transformers (Apache-2.0; optional, imported here only) that take images and nothing else."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from conformance.core.errors import UserError, check, unknown
from conformance.models.torchvision_ops import own_kernels
from conformance.systems.architecture import Architecture
from conformance.systems.building.zoo.architecture import made

own_kernels()  # it imports torchvision

import transformers  # noqa: E402
from transformers.models.auto import configuration_auto, image_processing_auto, modeling_auto  # noqa: E402

# Heads, the first one of a model type being that of its bare name.
_HEADS = (
    "object-detection",
    "universal-segmentation",
    "instance-segmentation",
    "depth-estimation",
    "image-classification",
    "semantic-segmentation",
    "image-to-image",
    "image-matting",
    "keypoint-detection",
    "text-recognition",
    "table-recognition",
)
_HEADLESS = ("MODEL_FOR_IMAGE_MAPPING_NAMES", "MODEL_FOR_BACKBONE_MAPPING_NAMES")
_ENCODERS = re.compile(r".*(?:_vision|_vision_model|_vit_model)")
_OF_ANOTHER_PACKAGE = ("timm_backbone", "timm_wrapper")  # with whichever network of timm is asked for
_VIDEO = ("timesformer", "videomae", "vivit", "vjepa2")  # five dimensions under the name of pixel_values
_DENSE = re.compile(r"ade|cityscapes|segm")
_CHECKPOINT = re.compile(r"[\w.-]+/[\w.-]+")
_PIXELS = {
    "object-detection": 640,
    "universal-segmentation": 640,
    "instance-segmentation": 640,
    "semantic-segmentation": 512,
    "depth-estimation": 384,
}
_OTHERWISE = 224
_RESOLUTIONS = {"rf_detr": (560, 560)}  # its backbone's own is no multiple of its windows
_NEEDED = {"beit:semantic-segmentation": {"out_indices": [3, 5, 7, 11]}}  # or the class refuses its own defaults
_PROCESSORS: Mapping[str, Any] = vars(image_processing_auto)["IMAGE_PROCESSOR_MAPPING_NAMES"]
_CONFIGURATIONS: Mapping[str, str] = vars(configuration_auto)["CONFIG_MAPPING_NAMES"]


@cache
def _classes() -> dict[str, str]:
    """The class by the name of an architecture: `detr`, and `detr:universal-segmentation` for a further head."""
    found: dict[str, str] = {}
    for head in _HEADS:
        for kind, name in _of_images(_of_head(head)):
            found[f"{kind}:{head}" if kind in found else kind] = name
    for mapping in (getattr(modeling_auto, headless, {}) for headless in _HEADLESS):
        for kind, name in _of_images(mapping):
            found.setdefault(kind, name)
    encoders = {kind: name for kind, name in modeling_auto.MODEL_MAPPING_NAMES.items() if _ENCODERS.fullmatch(kind)}
    for kind, name in _of_images(encoders):
        found.setdefault(kind, name)
    return found


def _of_images(mapping: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Model types and classes that can be called with images alone."""
    for kind, names_ in mapping.items():
        name = names_ if isinstance(names_, str) else names_[0]
        apart = kind in _OF_ANOTHER_PACKAGE or kind in _VIDEO or kind not in _CONFIGURATIONS
        if not apart and _takes_images(name):
            yield kind, name


def _takes_images(name: str) -> bool:
    """Whether the first thing that a class is called with is images, and it needs no other."""
    _, *given = inspect.signature(getattr(transformers, name).forward).parameters.values()
    needed = [one for one in given[1:] if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    return bool(given) and given[0].name == "pixel_values" and not needed


def names() -> list[str]:
    """Every model type, and every further head of it; checkpoints are not listed, and `build` knows those whose
    configuration a package's defaults are."""
    return sorted(_classes())


def build(name: str, fake: bool = False) -> Architecture:
    """The architecture of a model type, with a head or the first, or of a checkpoint, of the defaults of its
    configuration; without values where it is `fake`. Nothing is fetched. Raises UserError."""
    known = _of_checkpoint(name) if "/" in name else check("architecture of transformers", name, _classes())
    kind, _, head = known.partition(":")
    config: Any = transformers.AutoConfig.for_model(kind)
    for key, value in _NEEDED.get(known, {}).items():
        setattr(config, key, value)
    parts: tuple[Any, ...] = (config, getattr(config, "backbone_config", None))
    for part in parts:
        if hasattr(part, "use_pretrained_backbone"):
            part.use_pretrained_backbone = False
    class_ = getattr(transformers, _classes()[known])
    module = made(lambda: class_(config), fake)
    sides = _RESOLUTIONS.get(kind) or _native(config)
    size = sides or _processed(kind) or (_PIXELS.get(head or _first_head(kind), _OTHERWISE),) * 2
    only_size = sides is not None and "interpolate_pos_encoding" in inspect.signature(class_.forward).parameters
    return Architecture(module, size, only_size, int(getattr(config, "num_channels", None) or 3))


def _of_head(head: str) -> Mapping[str, Any]:
    """The classes with a head, by model type; none where transformers does not have it yet."""
    return getattr(modeling_auto, f"MODEL_FOR_{head.upper().replace('-', '_')}_MAPPING_NAMES", {})


def _first_head(kind: str) -> str:
    return next((head for head in _HEADS if kind in _of_head(head)), "")


def _rank(kind: str) -> int:
    """Lower where the head comes first; last where there is none."""
    head = _first_head(kind)
    return _HEADS.index(head) if head else len(_HEADS)


def _native(config: Any) -> tuple[int, int] | None:
    """Height and width of the images, where a configuration, or the part of it that sees, says so."""
    for part in (config, getattr(config, "vision_config", None), getattr(config, "backbone_config", None)):
        size = getattr(part, "image_size", None)
        if isinstance(size, int):
            return size, size
        if isinstance(size, list | tuple) and len(size) == 2:
            return int(size[0]), int(size[1])
    return None


def _processed(kind: str) -> tuple[int, int] | None:
    """Height and width of the images that the processor of a model type gives it, where its class says so."""
    named = _PROCESSORS.get(kind) or ""
    names_ = named.values() if isinstance(named, dict) else [named] if isinstance(named, str) else named
    for class_ in (getattr(transformers, name, None) for name in names_ if name):
        for size in (getattr(class_, "crop_size", None), getattr(class_, "size", None)):
            if isinstance(size, dict) and {"height", "width"} <= set(size):
                return int(size["height"]), int(size["width"])
            if isinstance(size, dict) and "longest_edge" in size:
                return (int(size["shortest_edge"]),) * 2
    return None


def _of_checkpoint(name: str) -> str:
    """The architecture whose configuration's defaults are those of a checkpoint. Raises UserError."""
    checkpoints = _checkpoints()
    if not _CHECKPOINT.fullmatch(name) or name not in checkpoints:
        raise unknown("checkpoint of transformers", name, checkpoints)
    kinds = sorted((kind for kind in checkpoints[name] if kind in _classes()), key=_rank)
    if not kinds:
        raise UserError(f"{name} is {checkpoints[name][0]}, which takes more than images")
    dense = f"{kinds[0]}:semantic-segmentation"
    return dense if _DENSE.search(name) and dense in _classes() else kinds[0]


@cache
def _checkpoints() -> dict[str, list[str]]:
    """The model types by the checkpoint that the documentation of their configurations names."""
    kinds = {class_: kind for kind, class_ in _CONFIGURATIONS.items()}
    assert transformers.__file__ is not None
    found: dict[str, list[str]] = {}
    for path in sorted(Path(transformers.__file__).parent.glob("models/*/configuration_*.py")):
        for class_, checkpoint in _documented(path.read_text(encoding="utf-8")):
            if class_ in kinds:
                found.setdefault(checkpoint, []).append(kinds[class_])
    return found


def _documented(source: str) -> Iterator[tuple[str, str]]:
    """Classes and the checkpoint that is named in a decorator, or linked to in the docstring."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            said = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
            named = re.search(r"checkpoint='([\w.-]+/[\w.-]+)'", said)
            named = named or re.search(r"\[([\w.-]+/[\w.-]+)\]\(https://huggingface", ast.get_docstring(node) or "")
            if named:
                yield node.name, named[1]
