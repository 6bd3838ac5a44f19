"""Weights that keep a signal alive: batch-norm statistics of real images, and outputs in a useful range.

Straight from the constructor the activations of a deep detector die out before its head, and every
corruption of a layer scores a perfect cosine on the output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from conformance.core.store import Store, digest

_SCALES = ("gamma", "layer_scale")  # of a branch that adds to a residual, by the names that models give them
_GRAPH_ONLY = ContextVar("graph_only", default=False)


@contextmanager
def graph_only() -> Iterator[None]:
    """Models are built in here with the weights of their constructors: quickly, to be looked at and not run."""
    token = _GRAPH_ONLY.set(True)
    try:
        yield
    finally:
        _GRAPH_ONLY.reset(token)


def is_graph_only() -> bool:
    """Whether models are being built for their graph alone."""
    return _GRAPH_ONLY.get()


def give_weights(
    module: nn.Module, made_from: Mapping[str, Any], model: str, calibrate: Callable[[Any], None]
) -> str:
    """Give a seeded module its calibrated weights, from disk where they were made from the same before. Returns
    their name."""
    key = digest(dict(made_from))
    if is_graph_only():
        return f"{key}-uncalibrated"
    store = Store("weights")
    with store.lock(key):
        if (entry := store.load(key)) is None:
            calibrate(module)
            store.save(key, module.state_dict(), {"model": model})
        else:
            module.load_state_dict(entry[0])
    return key


@torch.no_grad()
def seed_norms(module: nn.Module) -> None:
    """Scales and offsets as trained networks have them, most of what they give above zero; and branches that add
    to a residual with a scale of its own at full strength. With a scale of one and no offset, half of every
    SiLU's input is negative, signals cancel out, and the rounding of bfloat16 is all that is left in deep networks.
    """
    for part in module.modules():
        if isinstance(part, _BatchNorm) and part.affine:
            part.weight.uniform_(0.5, 1.0)
            part.bias.normal_(0.5, 0.5)
    for name, parameter in module.named_parameters():
        if name.rpartition(".")[2] in _SCALES:
            parameter.fill_(1.0)


@torch.no_grad()
def calibrate_batch_norm(module: nn.Module, batches: Sequence[Tensor]) -> None:
    """Set running mean and variance of every batch norm to the average over these batches."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
    module.train()
    for batch in batches:
        module(batch)
    module.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@torch.no_grad()
def scale_outputs(
    module: nn.Module, layers: Iterable[nn.Conv2d | nn.Linear], batch: Tensor, mean: float, std: float
) -> None:
    """Scale weights and set biases so that each layer's outputs over a batch have this mean and deviation."""
    layers = list(layers)
    if not layers:
        return
    seen: dict[nn.Conv2d | nn.Linear, Tensor] = {}
    handles = [layer.register_forward_hook(lambda at, _, output: seen.__setitem__(at, output)) for layer in layers]
    module(batch)
    for handle in handles:
        handle.remove()
    for layer, output in seen.items():
        assert layer.bias is not None
        signal = output - layer.bias.reshape(-1, *[1] * (output.dim() - 2))
        factor = std / signal.std()
        layer.weight.mul_(factor)
        layer.bias.copy_(mean - factor * signal.mean())
