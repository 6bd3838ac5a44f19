"""YOLO26, built from the YAML inside ultralytics (AGPL-3.0; optional, imported here only)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from conformance.cases.case import Case
from conformance.registry import missing_packages
from conformance.systems.protocol import Group, Model

if TYPE_CHECKING:
    from torch import Tensor, nn

SEED = 0
CLASSES = 80
# Raise this when what is below changes the weights: it is part of their name in the cache.
RECIPE = 1


class Yolo26:
    """Detection: (B, 3, H, W) images to (B, 84, anchors), 4 box rows in pixels and 80 class scores."""

    name = "yolo26"
    variants = ("n", "s", "m", "l", "x")
    tasks = ("detect",)
    stride = 32
    licence = "AGPL-3.0 (ultralytics)"

    def missing(self) -> str | None:
        """What to install where ultralytics is not."""
        return missing_packages({"ultralytics": "yolo"}, self.name)

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The 24 blocks of the YAML; model.10 is C2PSA, model.23 the head."""
        return tuple(f"model.{index}" for index in range(24))

    def build(self, variant: str, task: str) -> Model:
        """Fused, `end2end=False`: ranking and suppression stay on the CPU, as the published port does."""
        from conformance.store import Store, digest

        key = digest({"system": self.name, "variant": variant, "task": task, "seed": SEED, "recipe": RECIPE}
                     | {name: version(name) for name in ("ultralytics", "torch")})  # fmt: skip
        module = _construct(variant)
        store = Store("weights")
        with store.lock(key):
            if (entry := store.load(key)) is None:
                _calibrate(module)
                store.save(key, module.state_dict(), {"model": f"yolo26{variant}-{task}"})
            else:
                module.load_state_dict(entry[0])
        module.end2end = False  # before fuse(), which deletes the branch that is not used
        module.fuse(verbose=False)
        module.model[-1].export = True  # one tensor out
        module.eval().requires_grad_(False)
        groups = (Group("boxes", stop=4), Group("scores", start=4))
        return Model(module, groups, self.layers(variant, task), key)

    def inputs(self, case: Case, index: int) -> tuple[Tensor, ...]:
        """Crops of photographs, (B, 3, H, W) float32 in 0..1."""
        from conformance.systems.images import crops

        assert case.height is not None and case.width is not None
        return (crops(case.batch, case.height, case.width, index),)


def _construct(variant: str) -> Any:
    """The seeded model, both heads, before calibration."""
    import torch
    from ultralytics.nn.tasks import DetectionModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return DetectionModel(f"yolo26{variant}.yaml", ch=3, nc=CLASSES, verbose=False)  # type: ignore[no-untyped-call]


def _calibrate(module: Any) -> None:
    """Batch-norm statistics from crops; then boxes of some cells' size and scores between almost 0 and 1."""
    from conformance.systems.calibration import calibrate_batch_norm, scale_outputs
    from conformance.systems.images import crops

    batches = [crops(4, 320, 320, index) for index in (100, 101)]
    calibrate_batch_norm(module, batches)
    for branch, mean, std in (("cv2", 4.0, 1.5), ("cv3", -4.0, 1.5)):
        scale_outputs(module, _last_convs(module.model[-1], branch), batches[0], mean, std)


def _last_convs(head: nn.Module, branch: str) -> list[nn.Conv2d]:
    """The last conv of every scale, of both heads: one-to-many and one-to-one."""
    return [
        scale[-1]
        for name in (branch, f"one2one_{branch}")
        for scale in getattr(head, name, ())
    ]  # fmt: skip
