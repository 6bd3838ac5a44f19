"""The training loop: generated scenes, AdamW, one cycle of the learning rate, an average of the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from conformance.scenes.labelled import Labels, scenes

_DECAY = 0.998  # of the average of the weights, a step
_REPORT, _KEEP = 100, 500  # steps from one line of progress to the next, from one checkpoint to the next


@dataclass(frozen=True)
class Lesson:
    """A model and how it learns. `deploy` leaves it with one output, (B, 4 + classes, cells). `packages` are what
    it needs that the suite does not."""

    name: str
    construct: Callable[[], Any]
    loss: Callable[[Any, Tensor, list[Labels]], Tensor]
    deploy: Callable[[Any], object] = nn.Module.eval
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How long, on what and from where. `sizes` are sides of square images in pixels, taken in turn."""

    steps: int
    batch: int
    sizes: tuple[int, ...]
    rate: float
    seed: int


def train(lesson: Lesson, recipe: Recipe, checkpoint: Path) -> tuple[dict[str, Tensor], float]:
    """The averaged weights, and the seconds that the steps took. On a GPU where there is one.

    A run that was cut short goes on from its checkpoint: the scenes of a step depend on its number alone.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(recipe.seed)
    module = lesson.construct().to(device, memory_format=torch.channels_last).train()
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(_DECAY), use_buffers=True)
    optimizer = torch.optim.AdamW(module.parameters(), recipe.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, recipe.steps, pct_start=0.05)
    parts = {"module": module, "average": average, "optimizer": optimizer, "schedule": schedule}
    done, seconds = _resume(parts, checkpoint, device)
    for step in range(done, recipe.steps):
        start = perf_counter()
        size = recipe.sizes[step % len(recipe.sizes)]
        images, labels = scenes(recipe.batch, size, size, step, training=True)
        loss = lesson.loss(module, images.to(device, memory_format=torch.channels_last), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 10)
        optimizer.step()
        schedule.step()
        average.update_parameters(module)
        done, seconds = step + 1, seconds + perf_counter() - start
        if done % _REPORT == 0:
            print(f"step {done} of {recipe.steps}: loss {loss:.3f}, {seconds / done:.3f} s a step", flush=True)
        if done % _KEEP == 0:
            kept = {name: part.state_dict() for name, part in parts.items()}
            torch.save(kept | {"step": done, "seconds": seconds}, checkpoint)
    return average.module.state_dict(), seconds


def _resume(parts: dict[str, Any], checkpoint: Path, device: str) -> tuple[int, float]:
    """Steps and seconds of the checkpoint, if there is one."""
    if not checkpoint.exists():
        return 0, 0.0
    kept = torch.load(checkpoint, map_location=device, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return kept["step"], kept["seconds"]
