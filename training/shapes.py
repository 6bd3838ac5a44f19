"""Train a detector on generated scenes, and write its weights with what they are worth on held-out scenes."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from loop import Lesson, Recipe, train
from safetensors.torch import load_file, save_file
from torch import Tensor

from conformance.cases.case import parse_resolution
from conformance.core.reading import fixture_path
from conformance.core.store import cache_folder, digest
from conformance.detections.average_precision import average_precision
from conformance.detections.postprocess import from_cells
from conformance.scenes.drawing import CLASSES
from conformance.scenes.labelled import scenes

SCENES, _BATCH = 400, 20  # held-out scenes that the figures are of
_PACKAGES = ("torch", "numpy", "pillow", "faster-coco-eval")
WEIGHTS = fixture_path("weights")

app = typer.Typer(add_completion=False, help=__doc__)
Steps = Annotated[int, typer.Option(min=1, help="batches of scenes")]
Size = Annotated[int, typer.Option(help="side of the images in pixels")]
Seed = Annotated[int, typer.Option(help="of the first weights")]
Output = Annotated[Path, typer.Option(file_okay=False, help="folder of the weights")]


@app.command()
def yolo26n(steps: Steps = 5000, size: Size = 128, seed: Seed = 0, output: Output = WEIGHTS) -> None:
    """YOLO26n, at this size, three quarters and five quarters of it. Needs ultralytics."""
    from yolo26n import LESSON

    if size % 128:
        raise typer.BadParameter(f"{size} is not divisible by 128: its quarters must be by 32", param_hint="--size")
    recipe = Recipe(steps, 16, (size * 3 // 4, size, size * 5 // 4), 1.5e-3, seed)
    _make(LESSON, recipe, ("128x128", "160x160", "128x160", "96x96", "320x320"), output)


@app.command()
def toydet(steps: Steps = 4000, size: Size = 64, seed: Seed = 0, output: Output = WEIGHTS) -> None:
    """The toy detector, at this size."""
    from toydet import LESSON

    if size % 16:
        raise typer.BadParameter(f"{size} is not divisible by 16", param_hint="--size")
    _make(LESSON, Recipe(steps, 32, (size,), 4e-3, seed), ("64x64", "96x96", "64x96"), output)


def _make(lesson: Lesson, recipe: Recipe, resolutions: tuple[str, ...], output: Path) -> None:
    """Train, write `NAME-shapes.safetensors`, and beside it a JSON file of what was measured with it."""
    checkpoint = cache_folder() / "training" / f"{lesson.name}-{digest(asdict(recipe))}.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    output.mkdir(parents=True, exist_ok=True)
    state, seconds = train(lesson, recipe, checkpoint)
    weights = output / f"{lesson.name}-shapes.safetensors"
    _write(state, weights)
    module = lesson.construct()
    module.load_state_dict(load_file(weights), strict=False)  # what is missing counts batches
    lesson.deploy(module)
    facts = {
        "command": " ".join(["python", "training/shapes.py", *sys.argv[1:]]),
        "classes": CLASSES,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "training": asdict(recipe) | {"seconds": round(seconds), "threads": torch.get_num_threads()},
        "held_out": {name: _precision(module, *parse_resolution(name)) for name in resolutions},
        "versions": {name: version(name) for name in (*_PACKAGES, *lesson.packages)},
    }
    weights.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n")
    print(json.dumps(facts["held_out"], indent=2))
    checkpoint.unlink(missing_ok=True)


def _write(state: dict[str, Tensor], path: Path) -> None:
    """In float16, without the counters of batches. Raises ValueError where float16 cannot hold them."""
    half = {
        name: value.half().contiguous().cpu()
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    for name, value in half.items():
        if not value.isfinite().all():
            raise ValueError(f"{name} is beyond the range of float16")
    save_file(half, path)


@torch.no_grad()
def _precision(module: Any, height: int, width: int) -> dict[str, float]:
    """Average precision on the held-out scenes at this resolution."""
    found, labels = [], []
    for index in range(SCENES // _BATCH):
        images, known = scenes(_BATCH, height, width, index)
        found += from_cells(module(images))
        labels += known
    return {"scenes": SCENES} | {
        name: round(value, 4) for name, value in asdict(average_precision(found, labels, len(CLASSES))).items()
    }


if __name__ == "__main__":
    app()
