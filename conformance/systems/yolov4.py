"""YOLOv4 and its tiny variant, from the Darknet cfg files inside libreyolo (MIT; optional)."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from conformance.core.groups import Group
from conformance.systems.base import BaseSystem

FILES = {"tiny": "yolov4-tiny", "full": "yolov4"}
STRIDES = {"tiny": (32, 16), "full": (8, 16, 32)}  # of the heads, in the order of the outputs
ANCHORS, CLASSES = 3, 80
# Sections of a cfg file that become a module which runs; a route or a shortcut is done by the network itself.
COMPUTING = ("convolutional", "maxpool", "upsample")


class Yolov4(BaseSystem):
    """(B, 3, H, W) images to the raw heads, one for each scale, (B, 3 anchors, 85, H / stride, W / stride): 4 box
    numbers, objectness and 80 class logits. Decoding stays on the CPU, as in the published Inferentia deployment."""

    name = "yolov4"
    variants = ("tiny", "full")
    licence = "MIT (libreyolo); cfg files of Darknet, public domain"
    needs = {"libreyolo": "yolov4", "torchvision": "yolov4", "ultralytics": "yolo"}  # this one for its photographs
    builder = "conformance.systems.building.yolov4"

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """Convolution blocks, pools and upsamplings, `net.layers.0` being the first; none without libreyolo."""
        package = find_spec("libreyolo")
        if package is None or package.origin is None:
            return ()
        cfg = Path(package.origin).parent / "models" / "darknet" / "cfgs" / f"{FILES[variant]}.cfg"
        sections = re.findall(r"^\[(\w+)\]", cfg.read_text(), flags=re.MULTILINE)[1:]  # the first is [net]
        return tuple(f"net.layers.{index}" for index, kind in enumerate(sections) if kind in COMPUTING)

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """Three of each head."""
        return tuple(
            Group(f"{part} at stride {stride}", output, dim=2, start=start, stop=stop)
            for output, stride in enumerate(STRIDES[variant])
            for part, start, stop in (("boxes", 0, 4), ("objectness", 4, 5), ("classes", 5, 5 + CLASSES))
        )
