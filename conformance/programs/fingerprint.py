"""What a module is and holds, as one hash."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def fingerprint(module: nn.Module) -> str:
    """The hash of a module's structure, its modes and hooks, and of what it holds."""
    found = hashlib.blake2b()
    for path, part in module.named_modules():
        hooks = len(part._forward_hooks), len(part._forward_pre_hooks)
        found.update(f"{path} {type(part).__qualname__} {part.training} {hooks} {'forward' in vars(part)}".encode())
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {tensor.requires_grad}".encode())
        found.update(as_bytes(tensor))
    return found.hexdigest()


def as_bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor, bit for bit."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
