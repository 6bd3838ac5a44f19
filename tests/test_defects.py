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

from conformance.cases.releases import releases
from conformance.defects.catalogue import DEFECTS, find, module_path
from conformance.defects.defect import MinimalCase
from conformance.defects.minimal import MinimalCases
from conformance.defects.sort import SORT
from conformance.defects.split_with_sizes import SPLIT_WITH_SIZES, read_densely
from conformance.defects.workarounds import WORKAROUNDS, rewriting
from conformance.program import Program, Whole

SPLITS = transcripts("split")
ON_2_29_1 = releases()["2.29.1"].packages
MINIMAL = {f"{d.id}:{m.name}": m for d in DEFECTS.values() for m in d.minimal_cases}


ALSO = {
    "batch-4-split:halves": {"split-with-sizes"},
    "topk-integers:integers": {"sort-refused"},
    "topk-large:sort-16400": {"sort-refused"},
}


class Calls(nn.Module):
    """A module that calls a function."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> object:
        return self.function(x)


def triggers(function: Callable[[Tensor], object], *shape: int, workarounds: tuple[str, ...] = ()) -> list[str]:
    program = Program(Whole(Calls(function), workarounds), (torch.zeros(shape),))
    return [defect.id for defect, _ in find(program.exported.graph, ON_2_29_1, ())]


def struck(function: Callable[[Tensor], object], *shape: int) -> list[str]:
    """Whoever has it."""
    nodes = Program(Whole(Calls(function)), (torch.zeros(shape),)).exported.graph.nodes
    return [defect.id for defect in DEFECTS.values() if any(map(defect.trigger, nodes))]


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
        (resized("bicubic", scale_factor=1.5), []),
        (resized("bilinear", size=(1, 7)), ["openvino-resize-to-one"]),
        (resized("bicubic", size=(4, 1)), ["openvino-resize-to-one"]),
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


def test_module_path_names_where_it_is() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Calls(lambda x: x.split([2, 4], -1))

        def forward(self, x: Tensor) -> object:
            return self.inner(x)

    program = Program(Whole(Outer()), (torch.zeros(2, 6),))
    ((_, node),) = find(program.exported.graph, ON_2_29_1, ())
    assert module_path(node) == "module.inner"


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
    strikes = {defect.id for defect in DEFECTS.values() if any(map(defect.trigger, nodes))}
    assert strikes == {name.partition(":")[0]} | ALSO.get(name, set())


def test_edited_minimal_case_does_not_meet_the_reference_of_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = MinimalCases(SPLIT_WITH_SIZES)
    before = cases.build("two-halves", "").key
    assert before == cases.build("two-halves", "").key != cases.build("sdk-1140", "").key
    monkeypatch.setattr("conformance.defects.minimal.getsource", lambda module: f"{module} edited")
    assert cases.build("two-halves", "").key != before


def test_catalogue_is_complete_data() -> None:
    for name, defect in DEFECTS.items():
        assert name == defect.id and defect.links and defect.packages
        played = (defect.fault is not None) + (defect.refusal is not None)
        assert played == any(defect.affects(release.packages, ()) for release in releases().values())
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
