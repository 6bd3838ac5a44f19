"""Each defect: its trigger, its fault model against what was published, its workarounds, where it is expected."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transcripts import Transcript, transcripts

from conformance.cases.outcome import Outcome, Stage, Status
from conformance.cases.releases import releases
from conformance.defects.catalogue import DEFECTS, find
from conformance.defects.defect import MinimalCase, unseen
from conformance.defects.explain import explain
from conformance.defects.minimal import MinimalCases
from conformance.defects.small import calls
from conformance.defects.sort import SORT
from conformance.defects.split_with_sizes import SPLIT_WITH_SIZES, read_densely
from conformance.defects.workarounds import WORKAROUNDS, rewriting
from conformance.graphs.exported import node_scope
from conformance.program import Program, Whole

SPLITS = transcripts("split")
ON_2_29_1 = releases()["2.29.1"].packages
MINIMAL = {f"{d.id}:{m.name}": m for d in DEFECTS.values() for m in d.minimal_cases}


CONTROLS = {"onnxruntime": "1.31.1", "openvino": "2026.4.1", "torch-xla": "2.9.0", "xla-cpu": "2.9.0"}
PRESENT = [  # not those of compilers before SDK 2.26 alone
    defect
    for defect in DEFECTS.values()
    if any(defect.affects(packages, ()) for packages in (CONTROLS, *(r.packages for r in releases().values())))
]
ALSO = {  # what strikes in a minimal case of another defect
    "batch-4-split:halves": {"split-with-sizes"},
    "topk-integers:integers": {"sort-refused"},
    "topk-large:sort-16400": {"sort-refused"},
    "views-refused:unfold": {"frozen-fallback"},
    "dilated-pool:max-pool": {"frozen-fallback"},
    "openvino-resize-to-one:bicubic": {"frozen-fallback"},
}


def triggers(function: Callable[[Tensor], object], *shape: int, workarounds: tuple[str, ...] = ()) -> list[str]:
    program = Program(Whole(calls(function), workarounds), (torch.zeros(shape),))
    return [defect.id for defect, _ in find(program.exported.graph, ON_2_29_1, ())]


def struck(function: Callable[[Tensor], object], *shape: int) -> list[str]:
    """Of anything that is in use today."""
    nodes = Program(Whole(calls(function)), (torch.zeros(shape),)).exported.graph.nodes
    return [defect.id for defect in PRESENT if any(map(defect.trigger, nodes))]


@pytest.mark.parametrize("name", SPLITS)
def test_fault_model_gives_the_published_numbers(name: str) -> None:
    transcript: Transcript = SPLITS[name]
    x = torch.tensor(transcript.input, dtype=torch.float64)
    assert transcript.shown_by(read_densely(x, transcript.sizes, transcript.dim))
    assert not transcript.shown_by(x.split(transcript.sizes, transcript.dim)), "the right answer is another"


def test_fault_model_reads_a_strided_tensor_in_its_logical_order() -> None:
    x = torch.arange(24.0).reshape(2, 4, 3).transpose(1, 2)
    pieces = read_densely(x, [1, 3], dim=2)
    flat = x.contiguous().flatten()
    assert torch.equal(pieces[0].flatten(), flat[:6]) and torch.equal(pieces[1].flatten(), flat[1 : 1 + 18])


@pytest.mark.parametrize(
    ("function", "shape", "strikes"),
    [
        (lambda x: x.split([2, 4], -1), (2, 6), True),
        (lambda x: torch.split(x, [3, 3], dim=1), (2, 6), True),
        (lambda x: torch.split_with_sizes(x, [3, 3], 1), (2, 6), True),
        (lambda x: x.view(1, 4, 128, 9).split([32, 32, 64], dim=2), (1, 512, 3, 3), True),
        (lambda x: x.split((3, 3), 1), (1, 6), False),  # nothing before the dimension it splits
        (lambda x: x.split([1, 1], 0), (2, 6), False),
        (lambda x: x.split(3, 1), (2, 6), False),
        (lambda x: x.chunk(2, 1), (2, 6), False),
        (lambda x: x.tensor_split([2], 1), (2, 6), False),
        (lambda x: (x[:, :2], x[:, 2:]), (2, 6), False),
        (lambda x: x.unbind(1), (2, 6), False),
    ],
)
def test_split_trigger(function: Callable[[Tensor], object], shape: tuple[int, ...], strikes: bool) -> None:
    assert triggers(function, *shape) == (["split-with-sizes"] if strikes else [])


@pytest.mark.parametrize(
    ("function", "strikes"),
    [
        (lambda x: x.topk(2, -1), True),
        (lambda x: x.sort(-1), True),
        (lambda x: x.argsort(-1), True),
        (lambda x: x.max(-1), False),
        (lambda x: x.amax(-1), False),
    ],
)
def test_sort_trigger(function: Callable[[Tensor], object], strikes: bool) -> None:
    assert triggers(function, 2, 6) == (["sort-refused"] if strikes else [])


def resized(mode: str, **given: object) -> Callable[[Tensor], object]:
    return lambda x: nn.functional.interpolate(x, mode=mode, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "strikes"),
    [
        (resized("bilinear", scale_factor=1.5), ["resize-scale-factor"]),  # 4 x 7 to 6 x 10
        (resized("nearest", scale_factor=1.7), ["resize-scale-factor"]),
        (resized("bilinear", scale_factor=2), []),
        (resized("bilinear", scale_factor=1.5, align_corners=True), ["xla-cpu-resize"]),
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
def test_resize_triggers(function: Callable[[Tensor], object], strikes: list[str]) -> None:
    assert struck(function, 1, 2, 4, 7) == strikes


@pytest.mark.parametrize(
    ("function", "strikes"),
    [
        (lambda x: x.unsqueeze(1).index_select(1, torch.tensor([0])), True),
        (lambda x: x.unsqueeze(-1).index_select(2, torch.tensor([0])), True),
        (lambda x: x.unsqueeze(1).index_select(2, torch.tensor([0])), False),
        (lambda x: x.unsqueeze(1).index_select(1, torch.tensor([0, 0])), False),
        (lambda x: (y := x.unsqueeze(1), y.index_select(1, torch.tensor([0]))), False),
        (lambda x: x.index_select(1, torch.tensor([0])), False),
    ],
)
def test_unsqueeze_trigger(function: Callable[[Tensor], object], strikes: bool) -> None:
    assert struck(function, 2, 6) == (["openvino-unsqueeze-gather"] if strikes else [])


@pytest.mark.parametrize(
    ("arguments", "strikes"),
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
def test_pooling_trigger(arguments: dict[str, object], strikes: bool) -> None:
    function = lambda x: nn.functional.avg_pool2d(x, **arguments)  # noqa: E731
    assert struck(function, 1, 2, 4, 6) == (["openvino-avg-pool-ceil"] if strikes else [])


def conv(kernel: int, **arguments: int) -> nn.Module:
    return nn.Conv2d(4, 4, kernel, **arguments)  # type: ignore[arg-type]


def transposed(**arguments: int) -> nn.Module:
    return nn.ConvTranspose2d(4, 4, 3, **arguments)  # type: ignore[arg-type]


IMAGE = torch.rand(2, 4, 16, 16)
ROW = torch.rand(2, 20000)
ROWS = torch.rand(2, 3, 4)
FIRST = torch.zeros(2, 1, 2, dtype=torch.int64)


@pytest.mark.parametrize(
    ("defect", "function", "x", "strikes"),
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
        ("openvino-one-column", nn.Conv2d(1, 2, 3, stride=(1, 2)), IMAGE[:, :1, :, :3], False),
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
        ("onnxruntime-ceil-shape", nn.MaxPool2d(1, 2, ceil_mode=True), IMAGE, True),
        ("onnxruntime-ceil-shape", nn.AvgPool2d(2, 3, ceil_mode=True), IMAGE[..., :6, :6], True),
        ("onnxruntime-ceil-shape", nn.MaxPool2d(3, 2, ceil_mode=True), IMAGE, False),
        ("onnxruntime-ceil-shape", nn.MaxPool2d(1, 2), IMAGE, False),
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
    defect: str, function: Callable[[Tensor], object] | nn.Module, x: Tensor, strikes: bool
) -> None:
    module = function if isinstance(function, nn.Module) else calls(function)
    nodes = Program(Whole(module), (x,)).exported.graph.nodes
    assert any(map(DEFECTS[defect].trigger, nodes)) == strikes


def test_scope_names_where_it_is() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = calls(lambda x: x.split([2, 4], -1))

        def forward(self, x: Tensor) -> object:
            return self.inner(x)

    program = Program(Whole(Outer()), (torch.zeros(2, 6),))
    ((_, node),) = find(program.exported.graph, ON_2_29_1, ())
    assert node_scope(node, program.paths) == "inner"


@settings(deadline=None)
@given(data=st.data(), workaround=st.sampled_from(["slice", "tensor_split", "chunk"]))
def test_workaround_is_bit_equal(data: st.DataObject, workaround: str) -> None:
    """Any shape, dimension and sizes, in every spelling of a split."""
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    cuts = data.draw(st.lists(st.integers(0, shape[dim]), max_size=3).map(sorted))
    sizes = [end - start for start, end in pairwise([0, *cuts, shape[dim]])]
    x = torch.randn(shape)
    expected = x.split(sizes, dim)
    for spelling in (
        lambda: x.split(sizes, dim),
        lambda: x.split(split_size=sizes, dim=dim),
        lambda: torch.split(x, sizes, dim=dim),
        lambda: x.split_with_sizes(sizes, dim),
    ):
        with rewriting((workaround,)):
            pieces = spelling()
        assert len(pieces) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(pieces, expected, strict=True))


def test_workaround_takes_the_trigger_out_of_the_graph_and_ends_with_its_context() -> None:
    def unequal(x: Tensor) -> object:
        return x.split([2, 4], -1)

    assert triggers(unequal, 2, 6, workarounds=("slice",)) == []
    assert triggers(unequal, 2, 6, workarounds=("tensor_split",)) == []
    assert triggers(unequal, 2, 6, workarounds=("chunk",)) == ["split-with-sizes"], "chunk cannot do unequal pieces"
    assert triggers(lambda x: x.split([3, 3], 1), 2, 6, workarounds=("chunk",)) == []
    assert triggers(unequal, 2, 6) == ["split-with-sizes"]


def test_where_a_defect_is_expected() -> None:
    assert SPLIT_WITH_SIZES.affects({"torch-xla": "2.9.0"}, ())
    assert SPLIT_WITH_SIZES.affects({"torch-xla": "2.9.0"}, ("slice",)), "the graph decides about those"
    assert not SPLIT_WITH_SIZES.affects({"torch-xla": "2.9.0"}, ("functionalization",))
    assert not SPLIT_WITH_SIZES.affects({"torch-xla": "2.10.0"}, ())
    assert not SPLIT_WITH_SIZES.affects({"openvino": "2026.4.1"}, ())
    assert {name for name, release in releases().items() if SORT.affects(release.packages, ())} == {
        "2.28.0",
        "2.28.1",
        "2.29.0",
        "2.29.1",
    }


@pytest.mark.parametrize("name", MINIMAL)
def test_minimal_case_triggers_its_defect_and_is_batch_first(name: str) -> None:
    minimal: MinimalCase = MINIMAL[name]
    inputs = minimal.inputs(0)
    assert all(x.shape[0] == minimal.batch for x in inputs)
    assert not torch.equal(inputs[0], minimal.inputs(1)[0])
    program = Program(Whole(minimal.build()), inputs)
    nodes = program.exported.graph.nodes
    own = DEFECTS[name.partition(":")[0]]
    strikes = {defect.id for defect in {*PRESENT, own} if any(map(defect.trigger, nodes))}
    assert strikes == {own.id} | ALSO.get(name, set())


def test_edited_minimal_case_does_not_meet_the_reference_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = MinimalCases(SPLIT_WITH_SIZES)
    before = cases.build("two-halves", "").key
    assert before == cases.build("two-halves", "").key != cases.build("sdk-1140", "").key
    monkeypatch.setattr("conformance.defects.minimal.getsource", lambda module: f"{module} edited")
    assert cases.build("two-halves", "").key != before


def test_defect_of_settings_is_known_by_its_signature_alone() -> None:
    program = Program(torch.nn.ReLU(), (torch.rand(1, 3),))

    def explained(signature: str, packages: dict[str, str]) -> list[str]:
        failed = Outcome(stage=Stage.COMPILE, status=Status.ERROR, signature=signature)
        return explain(
            program, failed, packages=packages, workarounds=(), hardware="trn1", dtype="float32", layer=None
        )

    assert explained("NCC_EARG001", {"neuronx-cc": "2.21"}) == ["lnc-mismatch"]
    assert explained("NCC_EVRF009", {"neuronx-cc": "2.21"}) == explained("NCC_EARG001", {"openvino": "1"}) == []


def test_catalogue_is_complete_data() -> None:
    for name, defect in DEFECTS.items():
        assert name == defect.id and defect.links and defect.packages
        played = (defect.fault is not None) + (defect.refusal is not None)
        ours = any("neuronx" in package or package == "torch-xla" for package in defect.packages)
        assert played == ours or defect.trigger is unseen, "known of Neuron, and not played"
        assert defect.minimal_cases or "minimal case" in defect.known, "it says why there is none"
        assert set(defect.workarounds) | set(defect.prevented_by) <= set(WORKAROUNDS)
        for minimal in defect.minimal_cases:
            assert set(minimal.workarounds) <= set(defect.workarounds)
    used = {name for defect in DEFECTS.values() for minimal in defect.minimal_cases for name in minimal.workarounds}
    assert used | {"contiguous"} == set(WORKAROUNDS), "a workaround that no test proves"


def test_openvino_is_explained_where_a_strided_or_a_rounded_value_is_bfloat16() -> None:
    class Net(torch.nn.Module):
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
