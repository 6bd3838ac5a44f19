"""Faster R-CNN of torchvision (BSD-3-Clause), cut where AWS's application note on R-CNNs cuts it; live weights.

Backbone, region proposal head and box head are compiled; anchors, the choice of proposals, RoIAlign and suppression
stay on the CPU.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from conformance.models.torchvision_ops import own_kernels
from conformance.systems.building.calibration import calibrate_batch_norm
from conformance.systems.building.images import crops

PROPOSALS = 1000
CLASSES = 91
# Scale of what a ResNet's block adds to its input. At 1, as constructed, bfloat16 rounding is as large as another
# image by the end of a ResNet-101 (0.82 to 0.94 at 192 px; at 0.25, 0.15 to 0.70).
BRANCH = 0.25
# What the layers without a batch norm are scaled to; 1 where none is named: objectness and class logits (softmax over
# 91) that tell regions apart, shifts of an anchor by some tenths of its size and of a proposal by one tenth.
DEVIATIONS = {"rpn.head.cls_logits": 2.0, "rpn.head.bbox_pred": 0.3, "roi_heads.box_predictor.cls_score": 2.0}


class Backbone(nn.Module):
    """(B, 3, H, W) normalised images to feature maps (B, 256, h, w), finest first."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone = model.backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone(images).values())


class Level(nn.Module):
    """The region proposal head for one feature map. Parameters are shared by all levels, modules are not: each runs
    once, so that its output can be told from that of other levels."""

    def __init__(self, head: Any) -> None:
        super().__init__()
        shared = {id(parameter): parameter for parameter in head.parameters()}
        for name, child in head.named_children():
            self.add_module(name, copy.deepcopy(child, shared))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.conv(features)  # type: ignore[operator]
        return self.cls_logits(hidden), self.bbox_pred(hidden)  # type: ignore[operator]


class RpnHead(nn.Module):
    """Feature maps to objectness logits (B, A, h, w) of every level, then box deltas (B, 4 A, h, w) of each."""

    def __init__(self, model: Any, levels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(Level(model.rpn.head) for _ in range(levels))

    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        pairs = [level(feature) for level, feature in zip(self.levels, features, strict=True)]
        logits, deltas = zip(*pairs, strict=True)
        return (*logits, *deltas)


class BackboneRpn(nn.Module):
    """Both in one program: images to feature maps, objectness logits and box deltas."""

    def __init__(self, model: Any, levels: int) -> None:
        super().__init__()
        self.backbone = model.backbone
        self.rpn_head = RpnHead(model, levels)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        features = tuple(self.backbone(images).values())
        return (*features, *self.rpn_head(*features))


class BoxHead(nn.Module):
    """(B, N, 256, 7, 7) pooled regions to class logits (B, N, 91) and box regressions (B, N, 364)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.fc6, self.fc7 = model.roi_heads.box_head.fc6, model.roi_heads.box_head.fc7
        predictor = model.roi_heads.box_predictor
        self.cls_score, self.bbox_pred = predictor.cls_score, predictor.bbox_pred

    def forward(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.fc7(self.fc6(regions.flatten(2)).relu()).relu()
        return self.cls_score(hidden), self.bbox_pred(hidden)


def stage(model: Any, task: str, levels: int) -> nn.Module:
    """The part of the whole model that a task compiles."""
    if task == "backbone":
        return Backbone(model)
    if task == "box-head":
        return BoxHead(model)
    return {"rpn-head": RpnHead, "backbone-rpn": BackboneRpn}[task](model, levels)


def construct(variant: str, seed: int) -> Any:
    """The seeded whole model, before calibration; batch norms are not frozen, 1000 proposals are kept."""
    own_kernels()
    from torchvision.models import detection
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    nothing = {"weights": None, "weights_backbone": None}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if variant == "mobilenet":
            model = detection.fasterrcnn_mobilenet_v3_large_fpn(**nothing, num_classes=CLASSES)
        elif variant == "r50":
            model = detection.fasterrcnn_resnet50_fpn(**nothing, num_classes=CLASSES)
        else:
            body = resnet_fpn_backbone(backbone_name="resnet101", weights=None, norm_layer=nn.BatchNorm2d)
            model = detection.FasterRCNN(body, CLASSES)
    for path, norm in model.backbone.body.named_modules():
        if path.endswith("bn3"):  # the last of a ResNet's block
            nn.init.constant_(norm.weight, BRANCH)
    return model.eval().requires_grad_(False)


def photographs(count: int, height: int, width: int, index: int) -> Tensor:
    """Crops, (count, 3, height, width) float32, normalised as torchvision does it on the CPU."""
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (crops(count, height, width, index) - mean) / std


@torch.no_grad()
def calibrate(model: Any) -> None:
    """Batch-norm statistics from photographs; then every other layer centred and scaled, in the order they run."""
    batches = [photographs(4, 320, 320, index) for index in (100, 101)]
    calibrate_batch_norm(model.backbone, batches)
    for part in ("backbone.fpn", "rpn.head", "roi_heads"):
        for name, layer in model.get_submodule(part).named_modules(prefix=part):
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                _centre_once(layer, DEVIATIONS.get(name, 1.0))
    model.roi_heads.box_predictor(model.roi_heads.box_head(pooled_regions(model, batches[0][:2]).flatten(0, 1)))


def _centre_once(layer: nn.Conv2d | nn.Linear, std: float) -> None:
    """At its next call, make every channel's mean 0 and the deviation of all `std`, over what it is given then."""

    def centre(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        handle.remove()
        channels = 1 if isinstance(layer, nn.Conv2d) else -1
        values = output.movedim(channels, -1)
        mean = values.flatten(0, -2).mean(0)
        factor = std / (values - mean).std()
        assert layer.bias is not None
        layer.weight.mul_(factor)
        layer.bias.sub_(mean).mul_(factor)
        return ((values - mean) * factor).movedim(-1, channels)

    handle = layer.register_forward_hook(centre)


@torch.no_grad()
def pooled_regions(model: Any, images: Tensor) -> Tensor:
    """What the CPU hands to the box head: (B, 1000, 256, 7, 7) float32.

    An image with fewer proposals repeats them from the first on, so that every row is a region of its own image.
    """
    from torchvision.models.detection.image_list import ImageList

    sizes = [tuple(images.shape[-2:])] * len(images)
    features = model.backbone(images)
    proposals, _ = model.rpn(ImageList(images, sizes), features)
    full = [boxes[torch.arange(PROPOSALS) % len(boxes)].float() for boxes in proposals]
    single = {name: feature.float() for name, feature in features.items()}
    pooled: Tensor = model.roi_heads.box_roi_pool(single, full, sizes)
    return pooled.unflatten(0, (len(images), PROPOSALS))  # type: ignore[no-any-return, no-untyped-call]
