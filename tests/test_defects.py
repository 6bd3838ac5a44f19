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
from triggering import PRESENT, defects_of

from conformance.cases.outcome import Outcome, Stage, Status
from conformance.cases.releases import releases
from conformance.defects.catalogue import DEFECTS, find
from conformance.defects.defect import MinimalCase, unseen
from conformance.defects.explain import explain
from conformance.defects.minimal import MinimalCases
from conformance.defects.sort import SORT
from conformance.defects.split_with_sizes import SPLIT_WITH_SIZES, split_densely
from conformance.graphs.exported import node_scope
from conformance.graphs.fx_match import calls
from conformance.programs.program import Program, Whole
from conformance.programs.workarounds import WORKAROUNDS, rewriting

SPLITS = transcripts("split")
ON_2_29_1 = releases()["2.29.1"].packages
MINIMAL = {f"{d.id}:{m.name}": m for d in DEFECTS.values() for m in d.minimal_cases}


ALSO = {  # what a minimal case of another defect triggers
    "batch-4-split:halves": {"split-with-sizes"},
    "topk-integers:integers": {"sort-refused"},
    "topk-large:sort-16400": {"sort-refused"},
    "xla-pool-small-image:max-pool": {"openvino-pool-small-image"},
    "openvino-pool-small-image:max-pool": {"xla-pool-small-image"},
    "dilated-pool:max-pool": {"frozen-fallback"},
    "complex-numbers:spectrum": {"frozen-fallback"},
    "openvino-resize-to-one:bicubic": {"frozen-fallback"},
}


def triggers(function: Callable[[Tensor], object], *shape: int, workarounds: tuple[str, ...] = ()) -> list[str]:
    program = Program(Whole(calls(function), workarounds), (torch.zeros(shape),))
    return [defect.id for defect, _ in find(program.exported.graph, ON_2_29_1, ())]


@pytest.mark.parametrize("name", SPLITS)
def test_fault_model_gives_the_published_numbers(name: str) -> None:
    transcript: Transcript = SPLITS[name]
    x = torch.tensor(transcript.input, dtype=torch.float64)
    assert transcript.shown_by(split_densely(x, transcript.sizes, transcript.dim))
    assert not transcript.shown_by(x.split(transcript.sizes, transcript.dim)), "the right answer is another"  # type: ignore[no-untyped-call]


def test_fault_model_reads_a_strided_tensor_in_its_logical_order() -> None:
    x = torch.arange(24.0).reshape(2, 4, 3).transpose(1, 2)
    pieces = split_densely(x, [1, 3], dim=2)
    flat = x.contiguous().flatten()
    assert torch.equal(pieces[0].flatten(), flat[:6])
    assert torch.equal(pieces[1].flatten(), flat[1 : 1 + 18])


@pytest.mark.parametrize(
    ("function", "shape", "triggered"),
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
def test_split_trigger(function: Callable[[Tensor], object], shape: tuple[int, ...], triggered: bool) -> None:
    assert triggers(function, *shape) == (["split-with-sizes"] if triggered else [])


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
    expected = x.split(sizes, dim)  # type: ignore[no-untyped-call]
    for spelling in (
        lambda: x.split(sizes, dim),  # type: ignore[no-untyped-call]
        lambda: x.split(split_size=sizes, dim=dim),  # type: ignore[no-untyped-call]
        lambda: torch.split(x, sizes, dim=dim),
        lambda: x.split_with_sizes(sizes, dim),
    ):
        with rewriting((workaround,)):
            pieces = spelling()
        assert len(pieces) == len(expected)
        assert all(torch.equal(a, b) for a, b in zip(pieces, expected, strict=True))


def test_workaround_takes_the_trigger_out_of_the_graph_and_ends_with_its_context() -> None:
    def unequal(x: Tensor) -> object:
        return x.split([2, 4], -1)  # type: ignore[no-untyped-call]

    assert triggers(unequal, 2, 6, workarounds=("slice",)) == []
    assert triggers(unequal, 2, 6, workarounds=("tensor_split",)) == []
    assert triggers(unequal, 2, 6, workarounds=("chunk",)) == ["split-with-sizes"], "chunk cannot do unequal pieces"
    assert triggers(lambda x: x.split([3, 3], 1), 2, 6, workarounds=("chunk",)) == []  # type: ignore[no-untyped-call]
    assert triggers(unequal, 2, 6) == ["split-with-sizes"]


def test_where_a_defect_is_expected() -> None:
    assert SPLIT_WITH_SIZES.affects({"torch-xla": "2.9.0"}, ())
    assert SPLIT_WITH_SIZES.affects({"torch-xla": "2.9.0"}, ("slice",)), "the graph decides about those"
    assert not SPLIT_WITH_SIZES.affects({"torch-xla": "2.9.0"}, ("functionalization",))
    assert SPLIT_WITH_SIZES.affects({"torch-xla": "2.12.0"}, ()), "no release was seen without it"
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
    own = DEFECTS[name.partition(":")[0]]
    dtype: torch.dtype = getattr(torch, minimal.dtype, torch.float32)  # not of auto-cast
    cast = [x.to(dtype) if x.is_floating_point() else x for x in inputs]
    found = defects_of(minimal.build().to(dtype), *cast, among={*PRESENT, own})
    assert set(found) == {own.id} | ALSO.get(name, set())


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
        assert name == defect.id
        assert defect.links
        assert defect.packages
        emulated = (defect.fault is not None) + (defect.error_code is not None)
        ours = any("neuronx" in package or package == "torch-xla" for package in defect.packages)
        assert emulated == ours or defect.trigger is unseen, "known of Neuron, and not emulated"
        assert defect.minimal_cases or "minimal case" in defect.known, "it says why there is none"
        assert set(defect.workarounds) | set(defect.prevented_by) <= set(WORKAROUNDS)
        for minimal in defect.minimal_cases:
            assert set(minimal.workarounds) <= set(defect.workarounds)
    used = {name for defect in DEFECTS.values() for minimal in defect.minimal_cases for name in minimal.workarounds}
    assert used | {"contiguous"} == set(WORKAROUNDS), "a workaround that no test proves"
