"""Convolutions, pooling, resizing and padding: whatever looks at a neighbourhood."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from hypothesis import strategies as st

from conformance.properties.operator import Arguments, Function, OpSpec, Shaped, Weight, divisors

_MOST_CHANNELS = 8


def _image(x: Shaped) -> bool:
    return x.rank == 4 and x.axis == 0


def _row(x: Shaped) -> bool:
    return x.rank == 3 and x.axis == 0


@st.composite
def _window(draw: st.DrawFn, size: int) -> tuple[int, int, int, int]:
    """(kernel, stride, padding, dilation) of one dimension, that fit into it."""
    padding = draw(st.integers(0, 2))
    room = size + 2 * padding
    kernel = draw(st.integers(1, min(3, room)))
    dilation = draw(st.integers(1, min(3, (room - 1) // (kernel - 1)))) if kernel > 1 else 1
    return kernel, draw(st.integers(1, 3)), padding, dilation


@st.composite
def _convolutions(draw: st.DrawFn, values: Sequence[Shaped], depthwise: bool = False) -> Arguments:
    (x,) = values
    windows = [draw(_window(size)) for size in x.shape[2:]]
    kernel, stride, padding, dilation = (tuple(part) for part in zip(*windows, strict=True))
    channels = x.shape[1]
    groups = channels if depthwise else draw(st.sampled_from(divisors(channels)))
    each = draw(st.integers(1, max(1, _MOST_CHANNELS // groups)))
    given: Arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if set(stride) == {1} and draw(st.booleans()):
        given["padding"] = "same"
    return {"kernel": kernel, "channels": groups * each, **given}


@st.composite
def _transposed(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    windows = []
    for size in x.shape[2:]:
        kernel, stride, dilation = (draw(st.integers(1, 3)) for _ in range(3))
        extra = draw(st.integers(0, max(stride, dilation) - 1))
        most = ((size - 1) * stride + dilation * (kernel - 1) + extra) // 2
        windows.append((kernel, stride, draw(st.integers(0, min(2, most))), extra, dilation))
    kernels, strides, paddings, extras, dilations = (tuple(part) for part in zip(*windows, strict=True))
    groups = draw(st.sampled_from(divisors(x.shape[1])))
    return {
        "kernel": kernels,
        "channels": groups * draw(st.integers(1, max(1, _MOST_CHANNELS // groups))),
        "stride": strides,
        "padding": paddings,
        "output_padding": extras,
        "dilation": dilations,
        "groups": groups,
    }


def _filters(shapes: Sequence[tuple[int, ...]], arguments: Arguments, transposed: bool = False) -> dict[str, Weight]:
    kernel, out, groups = arguments["kernel"], arguments["channels"], arguments["groups"]
    window, channels = tuple(kernel), shapes[0][1]
    shape = (channels, out // groups, *window) if transposed else (out, channels // groups, *window)
    scale = round((channels // groups * prod(window)) ** -0.5, 3)
    return {"weight": Weight(shape, scale=scale), "bias": Weight((out,))}


def _convolution(path: str) -> Function:
    return Function(path, of_weights=("kernel", "channels"))


@st.composite
def _poolings(draw: st.DrawFn, values: Sequence[Shaped], largest: bool) -> Arguments:
    (x,) = values
    windows = []
    for size in x.shape[2:]:
        kernel = draw(st.integers(1, min(3, size)))
        dilation = draw(st.integers(1, min(3, (size - 1) // (kernel - 1)))) if largest and kernel > 1 else 1
        # padding beside a dilated window may leave windows with nothing but padding: -infinity
        padding = draw(st.integers(0, kernel // 2)) if dilation == 1 else 0
        windows.append((kernel, draw(st.integers(1, 3)), padding, dilation))
    kernels, strides, paddings, dilations = (tuple(part) for part in zip(*windows, strict=True))
    given: Arguments = {
        "kernel_size": kernels,
        "stride": strides,
        "padding": paddings,
        "ceil_mode": draw(st.booleans()),
    }
    if largest:
        return {**given, "dilation": dilations}
    return {**given, "count_include_pad": draw(st.booleans())}


@st.composite
def _adaptive(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    return {"output_size": tuple(draw(st.integers(1, size)) for size in x.shape[2:])}


@st.composite
def _resizes(draw: st.DrawFn, values: Sequence[Shaped], bilinear: bool) -> Arguments:
    (x,) = values
    given: Arguments = {"mode": draw(st.sampled_from(["bilinear"] if bilinear else ["nearest", "nearest-exact"]))}
    if bilinear:
        given["align_corners"] = draw(st.booleans())
    if draw(st.booleans()):
        return {"size": tuple(draw(st.integers(1, 2 * size + 1)) for size in x.shape[2:]), **given}
    factors = [2.0, 3.0, 1.5] + ([0.5] if min(x.shape[2:]) > 1 else [])
    return {"scale_factor": draw(st.sampled_from(factors)), **given}


_PADDINGS = ("constant", "replicate", "reflect", "circular")


@st.composite
def _pads(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    mode = draw(st.sampled_from(_PADDINGS))
    pad: list[int] = []
    for size in reversed(x.shape[2:]):
        most = {"reflect": size - 1, "circular": size}.get(mode, 2)
        pad += [draw(st.integers(0, min(2, most))) for _ in range(2)]
    given: Arguments = {"pad": tuple(pad), "mode": mode}
    return {**given, "value": draw(st.sampled_from([0.0, 0.5, -1.0]))} if mode == "constant" else given


WINDOWS = (
    OpSpec("conv2d", _convolution("F.conv2d"), accepts=_image, arguments=_convolutions, weights=_filters, weight=3),
    OpSpec("conv1d", _convolution("F.conv1d"), accepts=_row, arguments=_convolutions, weights=_filters),
    OpSpec(
        "depthwise",
        _convolution("F.conv2d"),
        accepts=lambda x: _image(x) and 1 < x.shape[1] <= 2 * _MOST_CHANNELS,
        arguments=lambda values: _convolutions(values, depthwise=True),
        weights=_filters,
    ),
    OpSpec(
        "conv_transpose2d",
        _convolution("F.conv_transpose2d"),
        accepts=lambda x: _image(x) and x.can_grow(16),
        arguments=_transposed,
        weights=lambda shapes, arguments: _filters(shapes, arguments, transposed=True),
    ),
    OpSpec("max_pool2d", Function("F.max_pool2d"), _image, lambda values: _poolings(values, largest=True), weight=2),
    OpSpec("avg_pool2d", Function("F.avg_pool2d"), _image, lambda values: _poolings(values, largest=False)),
    OpSpec("adaptive_avg_pool2d", Function("F.adaptive_avg_pool2d"), _image, _adaptive),
    OpSpec("adaptive_max_pool2d", Function("F.adaptive_max_pool2d"), _image, _adaptive),
    OpSpec(
        "resize_nearest",
        Function("F.interpolate"),
        lambda x: _image(x) and x.can_grow(9),
        lambda values: _resizes(values, bilinear=False),
    ),
    OpSpec(
        "resize_bilinear",
        Function("F.interpolate"),
        lambda x: _image(x) and x.can_grow(9),
        lambda values: _resizes(values, bilinear=True),
    ),
    OpSpec("pad", Function("F.pad"), lambda x: (_image(x) or _row(x)) and x.can_grow(9), _pads, weight=2),
)
