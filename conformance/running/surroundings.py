"""What a target finds around it and has to leave as it is: the reference model, and torch itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

_OWNERS = {
    "torch": torch,
    "torch.Tensor": torch.Tensor,
    "torch.nn": nn,
    "torch.nn.functional": nn.functional,
    "torch.nn.Module": nn.Module,
    "torch.linalg": torch.linalg,
    "torch.special": torch.special,
}


_FRONT_ENDS = ("torch", "torch_xla", "torch_neuronx")


class Surroundings:
    """How torch is when this is made; `changed` says what is another since."""

    def __init__(self) -> None:
        self._attributes = dict(_attributes())
        self._settings = _settings()

    def changed(self) -> list[str]:
        """The names of what was changed. What was added is none of it, nor what torch or one of its front ends has
        put there itself: parts of them are loaded late."""
        now, settings = dict(_attributes()), _settings()
        others = (name for name, value in self._attributes.items() if now.get(name) is not value)
        return [
            *(name for name in others if not _is_of_a_front_end(now.get(name))),
            *(name for name, value in self._settings.items() if settings[name] != value),
        ]


def _attributes() -> Iterator[tuple[str, Any]]:
    """The functions and classes of torch, by name."""
    for owner, holder in _OWNERS.items():
        for name, value in vars(holder).items():
            if callable(value) or isinstance(value, (staticmethod, classmethod)):
                yield f"{owner}.{name}", value
    for name, kind in vars(nn).items():
        if isinstance(kind, type) and issubclass(kind, nn.Module) and "forward" in vars(kind):
            yield f"torch.nn.{name}.forward", vars(kind)["forward"]


def _is_of_a_front_end(value: Any) -> bool:
    """Whether a function or a class is written in a file of torch or of a package that belongs to it."""
    code = getattr(value, "__code__", None)
    file = code.co_filename if code else getattr(sys.modules.get(value.__module__), "__file__", None)
    packages = (getattr(sys.modules.get(name), "__file__", None) for name in _FRONT_ENDS)
    return file is not None and any(
        Path(file).is_relative_to(Path(package).parent) for package in packages if package
    )


def _settings() -> dict[str, object]:
    """What is switched for the whole process."""
    return {
        "the default dtype": torch.get_default_dtype(),
        "the default device": str(torch.get_default_device()),
        "grad mode": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "the number of threads": torch.get_num_threads(),
        "oneDNN": torch.backends.mkldnn.enabled,
        "the precision of products": torch.get_float32_matmul_precision(),
    }


def changes_text(changes: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(changes) - 3} more" if len(changes) > 3 else ""
    return ", ".join(changes[:3]) + more
