"""Is what a survey says is wrong really wrong? Asked again without any code of the suite: the package's own
constructor, the compiler's own converter, and numpy. (But for what lets PyPI's torchvision be imported.)

    python -m benchmarks.confirm openvino timm:test_vit torchvision:resnet18
    python -m benchmarks.confirm xla --survey matrices/published/survey.json

Each is compiled for one batch of noise, called with another, and compared with eager float64. It is wrong where any
output is a hundred times as far from that as eager float32 is, and further than a thousandth; on xla also where an
operator is computed on the CPU. Prints a line each; exit
code 1 where one that a survey calls wrong is right, or one that it calls right is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from conformance.models.torchvision_ops import own_kernels  # without which PyPI's torchvision does not import

Run = Callable[[Tensor], list[np.ndarray]]
_FURTHER, _FURTHEST = 100.0, 1e-3
_KNOWN = {"pass": "right", "wrong": "wrong", "nonfinite": "wrong"}


class Flat(nn.Module):
    """The tensors of a network's output, in order."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(leaf for leaf in tree_leaves(self.module(x)) if isinstance(leaf, Tensor))


def built(name: str) -> tuple[nn.Module, int]:
    """A network as its package makes it, with batch norms that have seen noise, and the side of its images."""
    source, _, architecture = name.partition(":")
    torch.manual_seed(0)
    own_kernels()
    package: Any = import_module(source)
    side = 224
    if source == "timm":
        module = package.create_model(architecture)
        side = package.data.resolve_model_data_config(module)["input_size"][-1]
    elif source == "torchvision":
        backbone = {} if hasattr(package.models, architecture) else {"weights_backbone": None}
        side = 520 if hasattr(package.models.segmentation, architecture) else side
        module = package.models.get_model(architecture, weights=None, **backbone)
    elif source == "transformers":
        config = package.AutoConfig.for_model(architecture)
        module = package.AutoModel.from_config(config)
        side = getattr(config, "image_size", side) or side
    else:
        tasks: Any = import_module("ultralytics.nn.tasks")
        kinds = {"rtdetr": "RTDETRDetectionModel", "world": "WorldModel"}
        kind = next((kinds[part] for part in kinds if part in architecture), "DetectionModel")
        module, side = getattr(tasks, kind)(f"{architecture}.yaml", verbose=False), 320
        module.model[-1].export = True
    _enliven(module)
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    module.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average: with the usual one signals die before the head
        norm.train()
    with torch.no_grad():
        for _ in range(2 if norms else 0):
            module(torch.rand(4, 3, side, side))
    return Flat(module.eval()), side


@torch.no_grad()
def _enliven(module: nn.Module) -> None:
    """Scales that begin at nothing, so that what they scale is wrong unseen, begin at one."""
    for parameter in module.parameters():
        if (
            parameter.dim()
            and max(parameter.shape) == parameter.numel()
            and (parameter == parameter.flatten()[0]).all()
        ) and 0 < float(parameter.flatten()[0]) < 0.1:
            parameter.fill_(1)
    for part in module.modules():
        weight = getattr(part, "weight", None)
        if isinstance(part, nn.modules.batchnorm._BatchNorm) and weight is not None and not weight.any():
            weight.fill_(1)


def openvino(module: nn.Module, example: Tensor) -> Run:
    import openvino as package

    exported = torch.export.export(module, (example,), strict=False)
    compiled = package.compile_model(package.convert_model(exported), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda x: list(compiled([x.numpy()]).values())


def onnxruntime(module: nn.Module, example: Tensor) -> Run:
    import onnxruntime as package

    program: Any = torch.onnx.export(module, (example,), dynamo=True, verbose=False)
    session = package.InferenceSession(program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {session.get_inputs()[0].name: x.numpy()})


def xla(module: nn.Module, example: Tensor) -> Run:
    """Lazily, as torch-neuronx configures it. What torch-xla computes on the CPU meanwhile is right here, and would
    be a constant of a program that is traced once."""
    import torch_xla
    from torch_xla.debug import metrics

    placed, device = module.to(torch_xla.device()), torch_xla.device()

    def run(x: Tensor) -> list[np.ndarray]:
        metrics.clear_counters()
        found = [y.cpu().numpy() for y in placed(x.to(device))]
        FROZEN[:] = metrics.executed_fallback_ops()
        return found

    return run


FROZEN: list[str] = []  # what the last run computed on the CPU
TARGETS: dict[str, Callable[[nn.Module, Tensor], Run]] = {
    "openvino": openvino,
    "onnxruntime": onnxruntime,
    "xla": xla,
}


@torch.no_grad()
def confirmed(target: str, name: str) -> tuple[str, float, float]:
    """Whether an architecture is right, how far the target is from float64 at most, and how far eager float32 is."""
    module, side = built(name)
    generator = torch.Generator().manual_seed(1)
    example, x = (torch.rand(2, 3, side, side, generator=generator) for _ in range(2))
    eager = [y.numpy().copy() for y in module(x)]
    exact = [y.float().numpy() if not y.is_floating_point() else y.numpy() for y in module.double()(x.double())]
    run = TARGETS[target](module.float(), example)
    far, own = (max(_distances(found, exact), default=0.0) for found in (run(x), eager))
    right = far <= max(_FURTHEST, _FURTHER * own) and not FROZEN
    return ("right" if right else "wrong"), far, own


def _distances(found: list[np.ndarray], exact: list[np.ndarray]) -> Iterator[float]:
    """Of each image of each output: the L2 norm of the difference over that of the reference."""
    for one, other in zip(found, exact, strict=True):
        for given, wanted in zip(one.astype(np.float64), other.astype(np.float64), strict=True):
            yield float(np.linalg.norm(given - wanted) / max(np.linalg.norm(wanted), 1e-300))


def asked(path: Path, target: str) -> dict[str, str]:
    """What a survey says of the architectures that it ran on a target."""
    architectures = json.loads(path.read_text(encoding="utf-8"))["architectures"]
    return {
        f"{one['source']}:{one['name']}": _KNOWN[verdict["status"]]
        for one in architectures
        for verdict in one.get("judged", ())
        if verdict["target"] == target and verdict["status"] in _KNOWN
    }


def main() -> int:
    os.environ.update(PJRT_DEVICE="CPU", XLA_DISABLE_FUNCTIONALIZATION="1")  # before torch-xla is imported
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("architectures", nargs="*")
    parser.add_argument("--survey", type=Path)
    options = parser.parse_args()
    said = asked(options.survey, options.target) if options.survey else {}
    disputed = 0
    for name in options.architectures or [name for name, status in said.items() if status == "wrong"]:
        status, far, own = confirmed(options.target, name)
        other = name in said and said[name] != status
        disputed += other
        frozen = f"; computed on the CPU: {', '.join(FROZEN)}" if FROZEN else ""
        dispute = f"; the survey says {said[name]}" if other else ""
        print(
            f"{name} on {options.target}: {status}, {far:.2g} from float64, eager float32 {own:.2g}{frozen}{dispute}"
        )
    return 1 if disputed else 0


if __name__ == "__main__":
    sys.exit(main())
