"""OpenVINO multiplies what it has reduced by the constant of another channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import torch
from conformance.defects.dataflow import depends_on_input
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import nn
    from torch.fx import Node

_REDUCTIONS = ("sum", "mean", "amax", "amin", "norm", "linalg_vector_norm", "prod")


def scales_channels_of_a_reduced_row(node: Node) -> bool:
    """Whether the node combines what is left of three dimensions with a constant for each place of the second, or
    divides it by one number where the second is gone."""
    if operator(node) not in ("add", "sub", "rsub", "mul", "div"):
        return False
    reduced = [given for given in node.all_input_nodes if operator(given) in _REDUCTIONS]
    constants = [given for given in node.all_input_nodes if not depends_on_input(given)]
    if len(reduced) != 1 or len(constants) != 1:
        return False
    given = arguments(reduced[0])
    shape = given["self"].meta["val"].shape
    axes = given.get("dim")
    if len(shape) != 3 or axes is None:
        return False
    gone = {axis % 3 for axis in ([axes] if isinstance(axes, int) else axes)}
    constant = constants[0].meta["val"].shape
    if gone in ({1}, {1, 2}):
        return operator(node) == "div" and node.args[0] is reduced[0] and constant.numel() == 1 < shape[0]
    if gone not in ({0}, {2}) or (gone == {2} and shape[0] == 1):
        return False
    channels = 1 if given.get("keepdim") or gone == {2} else 0
    axis = channels - (len(node.meta["val"].shape) - len(constant))
    return axis >= 0 and constant[axis] == shape[1] == constant.numel() > 1


def _scaled_mean() -> nn.Module:
    return calls(lambda x, scale: x.mean(2) * scale, torch.tensor([1.0, 2.0, 3.0]))


def _divided_mean() -> nn.Module:
    return calls(lambda x, scale: x.mean(1) / scale, torch.tensor(2.5))


OPENVINO_REDUCE = Defect(
    id="openvino-reduce-channels",
    title="mean over the last of three dimensions, times a weight for each channel: the weights of other channels",
    known=(
        "What follows a reduction is computed in the same kernel. Of three dimensions, if the last or the first is "
        "reduced, and with several images, a factor or summand for each channel is taken from the wrong place, for "
        "sums, means and extremes alike. If the second of them is reduced, alone or with the last, what is divided "
        "by one number is right for the first image alone. Four dimensions are right: reduce an image, or reshape "
        "between."
    ),
    evidence=Evidence.REPRODUCED,
    seen="found by the property tests with OpenVINO 2026.4.1, on an AMD EPYC; seen with 2025.1 to 2026.4.1",
    links=(
        "https://github.com/openvinotoolkit/openvino/issues/23616",  # kin: four dimensions, mended in 2024
        "https://github.com/openvinotoolkit/openvino/pull/23970",
    ),
    packages={"openvino": ">=2025.1"},
    trigger=scales_channels_of_a_reduced_row,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="scaled-mean",
            title="2 x 3 x 4, mean of 4 values times 1, 2, 3",
            build=_scaled_mean,
            inputs=images(2, 3, 4),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        ),
        MinimalCase(
            name="divided-mean",
            title="2 x 3 x 4, mean of the 3, divided by 2.5",
            build=_divided_mean,
            inputs=images(2, 3, 4),
            batch=2,
            status=Status.WRONG,
            wrong_images=(1,),
            workarounds=(),
        ),
    ),
)
