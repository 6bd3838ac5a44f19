"""Live weights for a network straight from its constructor, whatever it is. Trained weights are left alone.

Norms get statistics and scales of networks that were trained; the last layers give values of a size that sigmoids and
softmax do not swallow. Whether right and wrong can then be told apart is measured, not assumed (`conditioning`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from conformance.graphs.eager import source
from conformance.graphs.graph import Kind
from conformance.programs.program import Whole
from conformance.systems.building.calibration import seed_norms

RECIPE = 1  # raise this when the same module gets other weights
_NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm)
_SPREAD = 2.0  # standard deviation of what the last layers give: logits from almost 0 to almost 1
_SEED = 0


def is_constructed(module: nn.Module) -> bool:
    """Whether all norms are as constructors leave them: ones, zeros, no batch seen. Of a network without norms it is
    not known, and taken to be trained."""
    norms = [part for part in module.modules() if isinstance(part, _NORMS)]
    return bool(norms) and all(map(_untouched, norms))


def _untouched(norm: nn.Module) -> bool:
    ones, zeros = ("weight", "running_var"), ("bias", "running_mean")
    held = {name: getattr(norm, name, None) for name in (*ones, *zeros)}
    return all(
        bool((value == (1 if name in ones else 0)).all()) for name, value in held.items() if isinstance(value, Tensor)
    )


def calibrate(module: nn.Module, batches: Sequence[tuple[Tensor, ...]]) -> None:
    """Give the module live weights, by these inputs. In place; the same module gets the same."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(_SEED)
        seed_norms(module)
        _give_statistics(module, batches)
        _scale_last_layers(module, batches[0])


def _give_statistics(module: nn.Module, batches: Sequence[tuple[Tensor, ...]]) -> None:
    """Set mean and variance of every batch norm to the average over these batches; all else is as for inference."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    try:
        for batch in batches if norms else ():
            module(*(x.clone() for x in batch))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()


def _scale_last_layers(module: nn.Module, batch: tuple[Tensor, ...]) -> None:
    """Scale what the last layers give over a batch to one deviation."""
    seen: dict[nn.Module, Tensor] = {}
    layers = last_layers(module, batch)
    handles = [layer.register_forward_hook(lambda at, _, output: seen.__setitem__(at, output)) for layer in layers]
    try:
        module(*(x.clone() for x in batch))
    finally:
        for handle in handles:
            handle.remove()
    for layer, output in seen.items():
        spread = float(output.std())
        if isfinite(spread) and spread > 0:
            for parameter in layer.parameters(recurse=False):
                parameter.mul_(_SPREAD / spread)


def last_layers(module: nn.Module, batch: tuple[Tensor, ...]) -> list[nn.Module]:
    """The convolutions and linear layers whose values reach an output without going through another one, or a norm;
    of a residual stream only what was added last."""
    graph, parts = source(Whole(module), batch).graph, dict(module.named_modules())
    wanted, before = set(graph.outputs), set[str]()
    found: dict[nn.Module, None] = {}
    for operator in reversed(graph.operators):
        if not before.isdisjoint(operator.outputs):
            before.update(operator.inputs)
        elif not wanted.isdisjoint(operator.outputs):
            layer = parts.get(operator.scope or "")
            last = operator.kind in (Kind.CONV, Kind.MATMUL) and isinstance(layer, (_ConvNd, nn.Linear))
            if last and layer is not None:
                found[layer] = None
            (before if last or operator.kind is Kind.NORM else wanted).update(operator.inputs)
    return list(found)
