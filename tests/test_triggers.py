"""Triggers: which nodes trigger each defect, and which that look alike do not. What can be compiled
here is compared with what the compilers do, in files of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from triggering import defects_of

from conformance.defects.catalogue import DEFECTS, find
from conformance.graphs.fx_match import calls
from conformance.programs.program import Program


@pytest.mark.parametrize(
    ("function", "triggered"),
    [
        (lambda x: x.topk(2, -1), True),
        (lambda x: x.sort(-1), True),
        (lambda x: x.argsort(-1), True),
        (lambda x: x.max(-1), False),
        (lambda x: x.amax(-1), False),
    ],
)
def test_sort_trigger(function: Callable[[Tensor], object], triggered: bool) -> None:
    assert defects_of(function, torch.zeros(2, 6)) == (["sort-refused"] if triggered else [])


def resized(mode: str, **given: object) -> Callable[[Tensor], object]:
    return lambda x: nn.functional.interpolate(x, mode=mode, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "triggered"),
    [
        (resized("bilinear", scale_factor=1.5), ["resize-scale-factor"]),  # 4 x 7 to 6 x 10
        (resized("nearest", scale_factor=1.7), ["resize-scale-factor"]),
        (resized("bilinear", scale_factor=2), []),
        (resized("nearest", scale_factor=(1.0, 1.7)), ["resize-scale-factor"]),
        (resized("nearest", scale_factor=(1.0, 1.5)), []),  # no other pixel is the nearest
        (resized("bilinear", scale_factor=1.5, align_corners=True), []),
        (resized("bilinear", scale_factor=1.5, recompute_scale_factor=True), []),
        (resized("bicubic", scale_factor=1.5), ["frozen-fallback"]),
        (resized("bilinear", size=(1, 7)), ["openvino-resize-to-one"]),
        (resized("bicubic", size=(4, 1)), ["frozen-fallback", "openvino-resize-to-one"]),
        (resized("nearest", size=(1, 1)), []),
        (resized("bilinear", size=(1, 1), align_corners=True), []),
        (resized("bilinear", size=(12, 7)), ["xla-cpu-resize"]),
        (resized("bilinear", scale_factor=3), ["xla-cpu-resize"]),
        (resized("bilinear", size=(8, 14)), []),
        (resized("bilinear", size=(6, 7)), []),  # 2/3 never meets a pixel
        (resized("bilinear", size=(4, 13), align_corners=True), []),  # by 1/2, which is exact
        (resized("bilinear", size=(4, 19), align_corners=True), ["xla-cpu-resize"]),
    ],
)
def test_resize_triggers(function: Callable[[Tensor], object], triggered: list[str]) -> None:
    assert defects_of(function, torch.zeros(1, 2, 4, 7)) == triggered


@pytest.mark.parametrize(
    ("function", "triggered"),
    [
        (lambda x: x.unsqueeze(1).index_select(1, torch.tensor([0])), True),
        (lambda x: x.unsqueeze(2).index_select(-1, torch.arange(1)), True),
        (lambda x: x.unsqueeze(1).index_select(1, torch.tensor([0, 0])), True),
        (lambda x: x.unsqueeze(-1).index_select(2, torch.tensor([0])), False),  # not counted from the front
        (lambda x: x.unsqueeze(1).index_select(2, torch.tensor([0])), False),
        (lambda x: x.unsqueeze(1).index_select(1, (x[0, :1] * 0).long()), False),
        (lambda x: (y := x.unsqueeze(1), y.index_select(1, torch.tensor([0]))), False),
        (lambda x: x.index_select(1, torch.tensor([0])), False),
    ],
)
def test_unsqueeze_trigger(function: Callable[[Tensor], object], triggered: bool) -> None:
    assert defects_of(function, torch.zeros(2, 6)) == (["openvino-unsqueeze-gather"] if triggered else [])


@pytest.mark.parametrize(
    ("function", "triggered"),
    [
        (lambda x: x.std(), True),
        (lambda x: x.var(), True),
        (lambda x: torch.var_mean(x), True),
        (lambda x: torch.std_mean(x), False),
        (lambda x: x.std(correction=1), False),
        (lambda x: x.var(unbiased=True), False),
        (lambda x: x.var(1), False),
        (lambda x: x.std([0, 1], keepdim=True), False),
    ],
)
def test_variance_trigger(function: Callable[[Tensor], object], triggered: bool) -> None:
    assert defects_of(function, torch.zeros(2, 6)) == (["openvino-open-correction"] if triggered else [])


@pytest.mark.parametrize(
    ("arguments", "triggered"),
    [
        ({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}, True),
        ({"kernel_size": (1, 3), "stride": (1, 2), "padding": (0, 1), "ceil_mode": True}, True),
        ({"kernel_size": 3, "stride": 2, "padding": 1}, False),
        ({"kernel_size": 3, "stride": 2, "ceil_mode": True}, False),
        ({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}, False),
        ({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "divisor_override": 2}, False),
        ({"kernel_size": 2, "ceil_mode": True}, False),
        ({"kernel_size": 3, "stride": 1, "padding": 1, "ceil_mode": True}, False),
    ],
)
def test_pooling_trigger(arguments: dict[str, Any], triggered: bool) -> None:
    function = lambda x: nn.functional.avg_pool2d(x, **arguments)  # noqa: E731
    assert defects_of(function, torch.zeros(1, 2, 4, 6)) == (["openvino-avg-pool-ceil"] if triggered else [])


def conv(kernel: int, **arguments: int) -> nn.Module:
    return nn.Conv2d(4, 4, kernel, **arguments)  # type: ignore[arg-type]


def transposed(**arguments: int) -> nn.Module:
    return nn.ConvTranspose2d(4, 4, 3, **arguments)  # type: ignore[arg-type]


def pooled_twice(pool: nn.Module, step: int = 2) -> nn.Module:
    """What a pooling gives, and what one without its windows beyond the image gives."""
    return calls(lambda x: nn.functional.silu(pool(x) + x[..., ::step, ::step]))


IMAGE = torch.rand(2, 4, 16, 16)
ROW = torch.rand(2, 20000)
ROWS = torch.rand(2, 3, 4)
FIRST = torch.zeros(2, 1, 2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("defect", "function", "x", "triggered"),
    [
        ("topk-integers", lambda x: x.int().topk(3).values, ROW, True),
        ("topk-integers", lambda x: x.topk(3).values, ROW, False),
        ("topk-large", lambda x: x.topk(16385).values, ROW, True),
        ("topk-large", lambda x: x.topk(16384).values, ROW, False),
        ("topk-large", lambda x: x.sort(0).values, ROW, False),
        ("topk-large", lambda x: x.argsort(), ROW, True),
        ("dilated-pool", nn.MaxPool2d(3, dilation=2), IMAGE, True),
        ("dilated-pool", nn.MaxPool2d(3), IMAGE, False),
        ("dilated-transposed-convolution", transposed(stride=2, dilation=2), IMAGE, True),
        ("dilated-transposed-convolution", transposed(stride=2), IMAGE, False),
        ("dilated-transposed-convolution", transposed(dilation=2), IMAGE, False),
        ("onnxruntime-output-padding", transposed(output_padding=1, dilation=2), IMAGE, True),
        ("onnxruntime-output-padding", transposed(output_padding=1, stride=2), IMAGE, False),
        ("onnxruntime-output-padding", transposed(), IMAGE, False),
        ("depthwise-transposed-convolution", transposed(groups=4), IMAGE, True),
        ("depthwise-transposed-convolution", transposed(groups=2), IMAGE, False),
        ("complex-numbers", lambda x: torch.fft.rfft(x).abs(), ROW, True),
        ("complex-numbers", lambda x: x.abs(), ROW, False),
        ("replicate-pad", nn.ReplicationPad3d(1), IMAGE[None], True),
        ("replicate-pad", nn.ReplicationPad2d(1), IMAGE, False),
        ("conv3d", nn.Conv3d(2, 2, 3), IMAGE[None], True),
        ("conv3d", conv(3), IMAGE, False),
        ("batch-4-split", lambda x: x.split([128, 128], 1), torch.rand(4, 256, 16, 16), True),
        ("batch-4-split", lambda x: x.split([128, 128], 1), torch.rand(4, 256, 16, 17), False),
        ("batch-4-split", lambda x: x.split([128, 128], 1), torch.rand(3, 256, 16, 16), False),
        ("batch-4-split", lambda x: x.split([64, 64], 1), torch.rand(4, 128, 16, 16), False),
        ("batch-4-split", lambda x: x.split([8, 8], 2), torch.rand(4, 256, 16, 16), False),
        ("views-refused", nn.PixelUnshuffle(2), IMAGE, True),
        ("views-refused", nn.PixelShuffle(2), IMAGE, False),
        ("parameter-fallback", nn.Unfold(3), IMAGE, False),
        ("openvino-reduce-channels", calls(lambda x, c: x.mean(2) * c, torch.ones(3)), ROWS, True),
        (
            "openvino-reduce-channels",
            calls(lambda x, c: x.amax(2, keepdim=True) + c, torch.ones(1, 3, 1)),
            ROWS,
            True,
        ),
        ("openvino-reduce-channels", calls(lambda x, c: x.sum(0) / c, torch.ones(3, 1)), ROWS, True),
        ("openvino-reduce-channels", calls(lambda x, c: x.sum(1) * c, torch.ones(4)), ROWS, False),
        ("openvino-reduce-channels", calls(lambda x, c: x.sum(2) * c, torch.ones(2, 1)), ROWS, False),
        ("openvino-reduce-channels", calls(lambda x, c: x.sum(2) * c, torch.ones(3)), ROWS[:1], False),
        ("openvino-reduce-channels", lambda x: x.sum(2) * x[:, :, 0], ROWS, False),
        ("openvino-reduce-channels", calls(lambda x, c: x.mean(3) * c, torch.ones(1, 4, 1)), IMAGE, False),
        ("openvino-one-column", nn.Conv2d(1, 2, 3, stride=(1, 2), padding=(1, 0)), IMAGE[:, :1, :, :3], True),
        ("openvino-one-column", nn.Conv2d(1, 2, 3, stride=(1, 2), padding=(1, 0)), IMAGE[:, :1], False),
        ("openvino-one-column", nn.Conv2d(1, 2, 3, padding=(1, 0)), IMAGE[:, :1, :, :3], False),
        ("openvino-one-column", nn.Conv2d(1, 2, 3, stride=(2, 2), padding=(1, 0)), IMAGE[:, :1, :, :3], False),
        ("openvino-one-column", nn.Conv2d(1, 2, (3, 2), stride=(1, 2)), IMAGE[:, :1, :, :2], False),
        ("openvino-one-column", nn.Conv2d(1, 2, 3, padding="same"), IMAGE[:, :1, :, :1], False),
        ("openvino-one-column", nn.Conv2d(4, 2, 3, stride=(1, 2), padding=(1, 0)), IMAGE[..., :3], False),
        ("openvino-slice-gather", lambda x: x[..., :2].gather(1, FIRST), ROWS, True),
        ("openvino-slice-gather", lambda x: x.tensor_split([2], 2)[0].gather(1, FIRST), ROWS, True),
        ("openvino-slice-gather", lambda x: x[..., 2:].gather(1, FIRST), ROWS, False),
        ("openvino-slice-gather", lambda x: x[:, :2].gather(1, FIRST), ROWS, False),
        ("openvino-slice-gather", lambda x: x[..., :2].take_along_dim(FIRST, 1), ROWS, False),
        ("onnxruntime-pad-max-pool", nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(2, 1)), IMAGE, True),
        ("onnxruntime-pad-max-pool", nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(2, 1)), IMAGE, False),
        ("onnxruntime-pad-max-pool", nn.Sequential(nn.ReflectionPad2d(1), nn.MaxPool2d(2, 1)), IMAGE, False),
        ("onnxruntime-pad-max-pool", nn.MaxPool2d(2, 1, 1), IMAGE, False),
        ("onnxruntime-pad-pool", nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(1)), IMAGE, True),
        ("onnxruntime-pad-pool", nn.Sequential(nn.ZeroPad2d(1), nn.AvgPool2d(2)), IMAGE, False),
        ("onnxruntime-ceil-shape", pooled_twice(nn.MaxPool2d(1, 2, ceil_mode=True)), IMAGE, True),
        ("onnxruntime-ceil-shape", pooled_twice(nn.AvgPool2d(2, 3, ceil_mode=True), 3), IMAGE[..., :6, :6], True),
        ("onnxruntime-ceil-shape", pooled_twice(nn.MaxPool2d(3, 2, ceil_mode=True)), IMAGE, False),
        ("onnxruntime-ceil-shape", nn.MaxPool2d(1, 2, ceil_mode=True), IMAGE, False),  # nothing follows
        ("onnxruntime-ceil-shape", pooled_twice(nn.MaxPool2d(1, 2)), IMAGE, False),
        ("xla-pool-small-image", nn.MaxPool2d(5, 2, ceil_mode=True), IMAGE[0, :, :4, :4], True),  # no batch of them
        ("openvino-pool-small-image", nn.AvgPool2d(5, 2, ceil_mode=True), IMAGE[0, :, :4, :4], True),
        ("xla-pool-small-image", nn.MaxPool2d(5, 2), IMAGE[0, :, :6, :6], False),
        ("batch-256", conv(3), torch.rand(256, 4, 4, 4), True),
        ("batch-256", conv(3), torch.rand(255, 4, 4, 4), False),
        ("dilated-convolution", conv(3, dilation=4), IMAGE, True),
        ("dilated-convolution", conv(3, dilation=3), IMAGE, False),
        ("dilated-convolution", conv(1), IMAGE, False),
        ("multiply-reduce", lambda x: (x * x[:, :1]).sum(1), IMAGE, True),
        ("multiply-reduce", lambda x: (x * x[0]).mean((0, 2)), IMAGE, True),
        ("multiply-reduce", lambda x: (x * x[:, :1]).sum(2), IMAGE, False),
        ("multiply-reduce", lambda x: (x * x).sum(1), IMAGE, False),
        ("multiply-reduce", lambda x: (x * 2).sum(1), IMAGE, False),
        ("clamp-minus-infinity", lambda x: x.clamp(-torch.inf, 1), IMAGE, True),
        ("clamp-minus-infinity", lambda x: x.clamp(min=-torch.inf), IMAGE, True),
        ("clamp-minus-infinity", lambda x: x.clamp(max=1), IMAGE, False),
        ("auto-cast-nan", nn.Sequential(conv(3), nn.BatchNorm2d(4), nn.SiLU()), IMAGE, True),
        ("auto-cast-nan", nn.Sequential(conv(3), nn.SiLU()), IMAGE, True),
        ("auto-cast-nan", nn.Sequential(conv(3), nn.ReLU()), IMAGE, False),
        ("frozen-fallback", nn.Upsample(scale_factor=2), IMAGE[0], True),
        ("frozen-fallback", nn.Upsample(scale_factor=2), IMAGE, False),
        ("frozen-fallback", nn.Upsample(scale_factor=2, mode="bicubic"), IMAGE, True),
        ("frozen-fallback", nn.MaxPool2d(3, dilation=2), IMAGE, True),
        ("frozen-fallback", nn.MaxPool2d(3), IMAGE, False),
        ("frozen-fallback", nn.AdaptiveAvgPool2d(3), IMAGE, True),
        ("frozen-fallback", nn.AdaptiveAvgPool2d(4), IMAGE, False),
        ("frozen-fallback", nn.AdaptiveMaxPool2d(3), IMAGE, True),
        ("frozen-fallback", nn.Unfold(3), IMAGE, True),
        ("resize-bilinear-refused", nn.Upsample(scale_factor=2), IMAGE, False),
        ("resize-nearest-assertion", nn.Upsample(scale_factor=2), IMAGE, False),
        ("windows-strides", lambda x: x.view(2, 2, 2, 4, 4, 16).permute(0, 1, 3, 2, 4, 5), IMAGE, True),
        ("windows-strides", lambda x: x.view(2, 2, 2, 4, 4, 16).permute(0, 2, 1, 3, 4, 5), IMAGE, False),
        ("windows-strides", lambda x: x.view(1, 4, 2, 4, 4, 16).permute(0, 1, 3, 2, 4, 5), IMAGE, False),
    ],
)
def test_operator_triggers(
    defect: str, function: Callable[[Tensor], object] | nn.Module, x: Tensor, triggered: bool
) -> None:
    assert bool(defects_of(function, x, among=[DEFECTS[defect]])) == triggered


def test_openvino_is_explained_where_a_strided_or_a_rounded_value_is_bfloat16() -> None:
    class Net(torch.nn.Module):
        table: Tensor

        def __init__(self, strided: bool, dtype: torch.dtype) -> None:
            super().__init__()
            table = torch.rand(5, 3, dtype=dtype)
            self.register_buffer("table", table.T if strided else table.T.contiguous())

        def forward(self, x: Tensor) -> Tensor:
            return x.to(torch.bfloat16) + self.table

    def ids(strided: bool, dtype: torch.dtype, given: torch.dtype) -> list[str]:
        program = Program(Net(strided, dtype), (torch.rand(2, 3, 5).to(given),))
        return sorted({defect.id for defect, _ in find(program.exported.graph, {"openvino": "2026.4.1"}, ())})

    bf16, fp32 = torch.bfloat16, torch.float32
    assert ids(True, bf16, bf16) == ["openvino-strided-constants"]
    assert ids(False, bf16, bf16) == ids(True, fp32, bf16) == []
    assert ids(False, bf16, fp32) == ["openvino-bf16-rounding"]
