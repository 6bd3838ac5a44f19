"""Whether a whole network can be judged at a dtype: is another image further away than the dtype's own rounding?

Deep networks with random weights magnify rounding. Where a rounded run ends up as far from the reference as another
image would, a wrong answer and a rounded one look alike, and only layers fed with the reference's inputs can be told.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from conformance.cases.case import stored_dtype
from conformance.cases.outcome import ENOUGH, Conditioning
from conformance.compare.metrics import rel_l2
from conformance.golden.reference import Golden, cast, record
from conformance.programs.autocast import auto_cast

Of = Callable[[Golden, str], Tensor]


def conditioning(
    module: nn.Module,
    layers: tuple[str, ...],
    inputs: tuple[Tensor, ...],
    exact: Golden,
    others: Golden,
    dtypes: Iterable[str],
    of: Of,
    input_dependent: Callable[[str], bool] = lambda path: True,
) -> dict[str, Conditioning]:
    """For each dtype, the layer at which another image is nearest to the reference, in units of the dtype's rounding.

    `exact` and `others` are the float64 runs of `inputs` and of other images; `of` gives a layer's outputs in a run,
    (batch, values). A layer that is the same for both, and not `input_dependent`, has no part in it: a table of
    positions. There is nothing for a dtype that the model cannot be run in.
    """
    apart = (path for path in layers if not torch.equal(of(exact, path), of(others, path)) or input_dependent(path))
    layers, found = tuple(apart), {}
    for dtype in dtypes if layers else ():
        try:
            baseline = _baseline(module, layers, inputs, dtype)
        except Exception:  # noqa: BLE001 (the model's own: a constant that is too large for the dtype)
            continue
        ratios = {path: _ratio(*(of(run, path) for run in (exact, others, baseline))) for path in layers}
        weakest = min(ratios, key=lambda path: ratios[path])
        found[dtype] = Conditioning(layer=weakest, ratio=ratios[weakest], sufficient=ratios[weakest] >= ENOUGH)
    return found


def _baseline(module: nn.Module, layers: tuple[str, ...], inputs: tuple[Tensor, ...], dtype: str) -> Golden:
    stored: torch.dtype = getattr(torch, stored_dtype(dtype))
    with auto_cast(dtype):
        return record(copy.deepcopy(module).to(stored), layers, tuple(cast(x, stored) for x in inputs))


def _ratio(reference: Tensor, other: Tensor, rounded: Tensor) -> float:
    """The smallest over the images: distance of the other image over distance of the rounded run; NaN is none."""
    if other.shape != reference.shape:
        return 0.0
    ratios = rel_l2(other, reference) / rel_l2(rounded, reference).clamp_min(torch.finfo(torch.float64).eps)
    return float(ratios.nan_to_num(nan=0.0).min())
