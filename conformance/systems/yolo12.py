"""YOLO12, from the YAML inside ultralytics, with three ways to compute its area attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.cases.case import Subject
from conformance.registry import missing_packages
from conformance.systems.attention import TASKS
from conformance.systems.groups import BOXES, SCORES
from conformance.systems.protocol import Group, Model

if TYPE_CHECKING:
    from torch import Tensor, nn

    from conformance.systems.attention import Attend


class Yolo12:
    """Detection: (B, 3, H, W) images to (B, 84, anchors), 4 box rows in pixels and 80 class scores.

    `detect` is ultralytics' own module, matmul and softmax; the other tasks replace its attention, not its weights.
    """

    name = "yolo12"
    variants = ("n", "s", "m", "l", "x")
    tasks = tuple(TASKS)
    licence = "AGPL-3.0 (ultralytics)"

    def missing(self) -> str | None:
        """What to install where ultralytics is not."""
        return missing_packages({"ultralytics": "yolo"}, self.name)

    def stride(self, task: str) -> int:
        """That of the coarsest scale."""
        return 32

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The blocks of the YAML file; model.6 and model.8 hold the area attention, model.21 is the head. What is
        wrong with an attention hardly shows beside the rounding of its block: each is a layer of its own."""
        pairs = 4 if variant in ("l", "x") else 2
        attention = {
            block: [f"model.{block}.m.{pair}.{place}.attn" for pair in range(pairs) for place in (0, 1)]
            for block in (6, 8)
        }
        return tuple(path for block in range(22) for path in (*attention.get(block, ()), f"model.{block}"))

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """The same for every attention."""
        return (BOXES, SCORES)

    def build(self, variant: str, task: str, weights: str | None = None) -> Model:
        """Fused; the attention that was asked for and the one that is used are in the notes."""
        from conformance.store import digest
        from conformance.systems.attention import choose
        from conformance.systems.ultralytics_models import Architecture, build

        module, key = build(Architecture(f"yolo12{variant}.yaml"), weights=weights)
        backend = choose(TASKS[task])
        if backend.used != "math":
            replace_attention(module, backend.attend)
        key = digest({"model": key, "attention": backend.used})
        detector = "cells" if weights is not None else None
        return Model(module, self.layers(variant, task), key, notes=(backend.note,), detector=detector)

    def parameters(self, variant: str, task: str) -> int:
        """The same for every attention."""
        from conformance.systems.ultralytics_models import Architecture, parameters

        return parameters(Architecture(f"yolo12{variant}.yaml"))

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """Crops of photographs, or scenes for weights that were trained on them, (B, 3, H, W) float32 in 0..1."""
        from conformance.systems.images import images

        return images(subject, index)


def replace_attention(module: nn.Module, attend: Attend) -> None:
    """Put our area attention in the place of ultralytics', round the same convolutions."""
    from conformance.models.area_attention import AreaAttention

    found: dict[str, Any] = {path: part for path, part in module.named_modules() if type(part).__name__ == "AAttn"}
    for path, old in found.items():
        module.set_submodule(path, AreaAttention(old.qkv, old.pe, old.proj, old.num_heads, old.area, attend).eval())
