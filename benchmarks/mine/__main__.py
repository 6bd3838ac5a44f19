"""`python -m benchmarks.mine`: what operators models have, and which next to each other."""

from __future__ import annotations

import json
import logging
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, cast

import torch
import typer
from rich.progress import track
from torch.fx import Graph

from benchmarks.mine.neighbours import programs, signature, targets
from conformance.cases.case import Subject
from conformance.core.errors import first_line
from conformance.graphs.exported import mark_inputs
from conformance.localize.recipe import Recipe
from conformance.measuring.programs import MINED, Mined, Program
from conformance.programs.program import Program as Compiled
from conformance.selection.model import find_model
from conformance.survey.looking import exported
from conformance.systems.loading import load_system
from conformance.systems.zoo import SOURCES, Zoo

_SYSTEMS = (
    "toydet-98k-detect", "fasterrcnn-mobilenet-backbone", "fasterrcnn-mobilenet-rpn-head",
    "fasterrcnn-mobilenet-box-head", "yolov4-tiny-detect", "yolov9t-detect", "yolo26n-detect", "yolo26n-segment",
    "yolo26n-pose", "yolo26n-obb", "yolo26n-classify", "yolo12n-detect", "yolov13n-detect",
)  # fmt: skip
_SIZE = (128, 128)
_COUNTS = {2: 300, 3: 200}


def main(
    architectures: Annotated[Path, typer.Option(help="A line each, `timm:resnet18`.")] = Path("matrices/judged.txt"),
    output: Annotated[Path, typer.Option(help="The file that is written.")] = MINED,
) -> None:
    """Export every model of the systems and the zoos, and count."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    names = [*_SYSTEMS, *architectures.read_text(encoding="utf-8").split()]
    models: Counter[str] = Counter()
    seen: dict[int, dict[str, Counter[str]]] = {length: defaultdict(Counter) for length in _COUNTS}
    having: dict[str, set[str]] = defaultdict(set)
    for name in track(names, "exporting"):
        if (graph := _graph(name)) is None:
            continue
        models.update(set(targets(graph)))
        for length, found in seen.items():
            for recipe in programs(graph, length):
                kind = signature(recipe)
                found[kind][recipe.model_dump_json()] += 1
                having[kind].add(name)
    chosen = [one for length, found in seen.items() for one in _chosen(found, having, _COUNTS[length])]
    mined = Mined(torch=torch.__version__, models=len(names), operators=dict(models.most_common()), programs=chosen)
    output.write_text(
        json.dumps(mined.model_dump(exclude_defaults=True), indent=None).replace('{"models"', '\n{"models"') + "\n"
    )
    typer.echo(f"wrote {output}: {len(models)} operators, {len(chosen)} programs of {len(names)} models")


def _chosen(found: dict[str, Counter[str]], having: dict[str, set[str]], count: int) -> Iterator[Program]:
    """Those that most models have, in the sizes that most of their places have."""
    ordered = sorted(found, key=lambda one: (-len(having[one]), -found[one].total(), one))
    for one in ordered[:count]:
        recipe = Recipe.model_validate_json(found[one].most_common(1)[0][0])
        yield Program(models=len(having[one]), places=found[one].total(), recipe=recipe)


def _graph(name: str) -> Graph | None:
    """The graph of a model; none where there is none."""
    source, _, architecture = name.partition(":")
    try:
        if source in SOURCES and architecture:
            zoo = cast(Zoo, import_module(SOURCES[source].builder))
            built = zoo.build(architecture, fake=True)
            return exported(built, 2, built.resolution if built.fixed else _SIZE).graph
        model = find_model(name)
        system = load_system(model.system)
        module = system.build(model.variant, model.task).module
        subject = Subject(model.system, model.variant, model.task, 2, *_SIZE, "float32")
        program = Compiled(module, system.inputs(subject, 0)).exported
        mark_inputs(program)
        graph: Graph = program.graph
        return graph
    except Exception as error:  # noqa: BLE001 (whatever a package raises)
        typer.echo(f"{name}: {first_line(error)}", err=True)
        return None


if __name__ == "__main__":
    typer.run(main)
