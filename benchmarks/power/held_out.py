"""Architectures that nothing was tuned on: no profile has them, and no limit was measured on them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from conformance.cases.case import Subject
from conformance.core.groups import Group
from conformance.core.requirements import missing_packages
from conformance.systems.protocol import Model

SEED = 0
RECIPE = 2  # of the weights: raised when the same seed gives others
LAYERS = 12  # at least, where there are as many
# torchvision's, by their builders: residual, depthwise, convnets with layer norm, windows and attention, dense and
# grouped connections, segmentation.
VARIANTS = (
    "resnet18", "vgg11_bn", "mobilenet_v3_small", "efficientnet_b0", "googlenet", "shufflenet_v2_x1_0",
    "squeezenet1_1", "densenet121", "regnet_y_400mf", "convnext_tiny", "swin_t", "swin_v2_t",
    "lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large",
)  # fmt: skip


class HeldOut:
    """Images (B, 3, H, W), normalised, to logits, or to what a segmentation gives, under its own names."""

    name = "held-out"
    variants = VARIANTS
    tasks = ("logits",)
    licence = "BSD-3-Clause (torchvision)"

    def missing(self) -> str | None:
        """What to install where torchvision or the photographs are not."""
        return missing_packages({"torchvision": "rcnn", "ultralytics": "yolo"}, self.name)

    def stride(self, task: str) -> int:
        """Of the coarsest blocks."""
        return 32

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The blocks that a cut through the tree of modules leaves."""
        return blocks(_constructed(variant))

    def groups(self, variant: str, task: str) -> tuple[Group, ...] | None:
        """Every output is one."""
        return None

    def build(self, variant: str, task: str) -> Model:
        """Seeded, with batch norms that have seen photographs."""
        from conformance.systems.building.calibration import give_weights

        made_from = {"system": self.name, "variant": variant, "seed": SEED, "recipe": RECIPE}
        made_from |= {name: version(name) for name in ("torchvision", "ultralytics", "torch")}
        module = _constructed(variant)
        key = give_weights(module, made_from, variant, _calibrate)
        return Model(module, blocks(module), key)

    def parameters(self, variant: str, task: str) -> int:
        """Weights and biases."""
        return sum(parameter.numel() for parameter in _constructed(variant).parameters())

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """Crops of photographs, normalised as torchvision does it."""
        from conformance.systems.building.fasterrcnn_stages import photographs

        return (photographs(subject.batch, subject.height or 0, subject.width or 0, index),)


def blocks(module: nn.Module) -> tuple[str, ...]:
    """The paths of the modules that are left when, from the top, the largest is parted until there are LAYERS."""
    found = {"": module}
    while len(found) < LAYERS:
        parts = {path: one for path, one in found.items() if len(list(one.children())) > 1}
        if not parts:
            break
        path = max(parts, key=lambda path: sum(parameter.numel() for parameter in parts[path].parameters()))
        prefix = f"{path}." if path else ""
        inside = {f"{prefix}{name}": child for name, child in found.pop(path).named_children()}
        found |= {name: child for name, child in inside.items() if next(child.parameters(), None) is not None}
    return tuple(path for path, _ in module.named_modules() if path in found)


def _constructed(variant: str) -> Any:
    """The seeded model, before calibration."""
    from conformance.models.torchvision_ops import own_kernels
    from conformance.systems.building.calibration import seed_norms

    own_kernels()
    from torchvision.models import get_model

    nothing: dict[str, Any] = {"weights": None}
    if "v3_large" in variant:
        nothing["weights_backbone"] = None
    if variant == "googlenet":
        nothing |= {"aux_logits": False, "init_weights": False}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module = get_model(variant, **nothing)
        seed_norms(module)
    return module.eval().requires_grad_(False)


def _calibrate(module: Any) -> None:
    from conformance.systems.building.calibration import calibrate_batch_norm
    from conformance.systems.building.fasterrcnn_stages import photographs

    if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules()):
        calibrate_batch_norm(module, [photographs(4, 224, 224, index) for index in (100, 101)])
