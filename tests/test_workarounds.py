"""Workarounds compute the same: bit for bit, on the CPU in eager mode, over shapes, dtypes and layouts.

They only move values, so that not a single unit in the last place is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from conformance.cases.case import Column
from conformance.defects.catalogue import find
from conformance.programs.program import Program, Whole
from conformance.programs.rewrites import splits as rewrites
from conformance.programs.workarounds import rewriting, variables
from conformance.targets.openvino import OpenVino
from conformance.targets.protocol import Options, Unsupported

REWRITES = list(rewrites.SPELLINGS)
AFFECTED = {"torch-xla": "2.9.0"}
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64]
WHOLE = [torch.int64, torch.uint8, torch.bool]
PROFILE = settings(max_examples=300, deadline=None, derandomize=True, database=None, report_multiple_bugs=False)

# Every way to write a split into given sizes.
CALLS: dict[str, Callable[[Tensor, list[int], int], Sequence[Tensor]]] = {
    "x.split(sizes, dim)": lambda x, sizes, dim: x.split(sizes, dim),  # type: ignore[no-untyped-call]
    "x.split(sizes, dim=)": lambda x, sizes, dim: x.split(sizes, dim=dim),  # type: ignore[no-untyped-call]
    "x.split(split_size=)": lambda x, sizes, dim: x.split(split_size=sizes, dim=dim),  # type: ignore[no-untyped-call]
    "x.split(tuple)": lambda x, sizes, dim: x.split(tuple(sizes), dim),  # type: ignore[no-untyped-call]
    "x.split_with_sizes": lambda x, sizes, dim: x.split_with_sizes(sizes, dim),
    "x.split_with_sizes(split_sizes=)": lambda x, sizes, dim: x.split_with_sizes(split_sizes=sizes, dim=dim),
    "torch.split": lambda x, sizes, dim: torch.split(x, sizes, dim),
    "torch.split(split_size_or_sections=)": lambda x, sizes, dim: torch.split(
        x, split_size_or_sections=sizes, dim=dim
    ),
    "torch.split_with_sizes": lambda x, sizes, dim: torch.split_with_sizes(x, sizes, dim),
}


def _transposed(x: Tensor) -> Tensor:
    return x.transpose(0, -1).contiguous().transpose(0, -1)


def _every_other(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, dim=-1)[..., ::2]


def _expanded(x: Tensor) -> Tensor:
    return x[:1].expand(x.shape)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


def _offset(x: Tensor) -> Tensor:
    return torch.cat([x, x])[x.shape[0] :]


LAYOUTS = [torch.Tensor.contiguous, _transposed, _every_other, _expanded, _channels_last, _offset]


@dataclass(frozen=True)
class Split:
    """A tensor and how it is split."""

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    dim: int
    dtype: torch.dtype
    layout: Callable[[Tensor], Tensor]
    call: str

    def tensor(self) -> Tensor:
        """Random values of the dtype, laid out as asked."""
        values = torch.randn(self.shape, generator=torch.Generator().manual_seed(0)) * 50
        values = values.to(torch.int32) if self.dtype in WHOLE else values
        return self.layout(values.to(self.dtype))

    def pieces(self, x: Tensor) -> Sequence[Tensor]:
        """The pieces of a tensor."""
        return CALLS[self.call](x, list(self.sizes), self.dim)


@st.composite
def splits(draw: st.DrawFn) -> Split:
    """Equal and unequal pieces, empty ones too, along any dimension, counted from either end."""
    equal = [draw(st.integers(1, 4))] * draw(st.integers(1, 4))
    sizes = draw(st.just(equal) | st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(any))
    before = draw(st.lists(st.integers(1, 4), max_size=3))
    after = draw(st.lists(st.integers(1, 4), max_size=3))
    shape = (*before, sum(sizes), *after)
    dim = draw(st.sampled_from([len(before), len(before) - len(shape)]))
    dtype, layout, call = (draw(st.sampled_from(choices)) for choices in (FLOATS + WHOLE, LAYOUTS, list(CALLS)))
    return Split(shape, tuple(sizes), dim, dtype, layout, call)  # type: ignore[arg-type]


def require_equal(name: str, split: Split) -> None:
    """With a workaround the pieces are bit for bit the same, and views of the tensor where they were."""
    x = split.tensor()
    wanted = split.pieces(x)
    with rewriting((name,)):
        given = split.pieces(x)
    assert len(given) == len(wanted)
    for a, b in zip(given, wanted, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert torch.equal(a, b)
        assert a.numel() == 0 or a.data_ptr() == b.data_ptr(), "written to, it changes the same memory"
        assert a.numel() == 0 or a.stride() == b.stride()


def require_bit_equal(name: str, profile: settings = PROFILE) -> None:
    """Of any split into sizes."""

    @profile
    @given(splits())
    def equal(split: Split) -> None:
        require_equal(name, split)

    equal()


@pytest.mark.parametrize("name", REWRITES)
def test_rewrite_is_bit_equal(name: str) -> None:
    """Every spelling of a split into sizes; 0 units in the last place on the CPU in eager mode; views stay views."""
    require_bit_equal(name)


def _off_by_one(x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    starts = [min(sum(sizes[:i]) + (i > 0), x.shape[dim] - size) for i, size in enumerate(sizes)]
    return tuple(x.narrow(dim, start, size) for start, size in zip(starts, sizes, strict=True))


def _from_the_front_only(x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    return rewrites.as_slices(x, sizes, abs(dim) % x.dim())


def _without_empty(x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    return tuple(piece for piece in rewrites.as_slices(x, sizes, dim) if piece.numel())


def _copied(x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    return tuple(piece.clone() for piece in rewrites.as_slices(x, sizes, dim))


def _through_half(x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    return rewrites.as_slices(x.to(torch.float16).to(x.dtype), sizes, dim)


@pytest.mark.parametrize("wrong", [_off_by_one, _from_the_front_only, _without_empty, _copied, _through_half])
def test_wrong_rewrite_is_noticed(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rewrites.SPELLINGS, "slice", wrong)
    with pytest.raises(AssertionError):
        require_bit_equal("slice", settings(PROFILE, phases=[Phase.generate]))


class Called(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The operators that are called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


def splits_into_sizes() -> bool:
    """Whether a split into equal sizes is done as one, here and now."""
    x = torch.arange(6.0)
    with Called() as called:
        x.split([3, 3])  # type: ignore[no-untyped-call]
    return any("split_with_sizes" in name for name in called.names)


@pytest.mark.parametrize("name", REWRITES)
def test_rewriting_is_undone_afterwards_even_after_an_error(name: str) -> None:
    assert splits_into_sizes()
    with rewriting((name,)):
        assert not splits_into_sizes()
        with rewriting(("functionalization",)):
            assert not splits_into_sizes()
    assert splits_into_sizes()
    with pytest.raises(ZeroDivisionError), rewriting((name,)):
        _ = 1 / 0
    assert splits_into_sizes()


def test_what_is_no_split_into_sizes_is_left_alone() -> None:
    x = torch.arange(24.0).reshape(2, 12)
    for name in REWRITES:
        with rewriting((name,)), Called() as called:
            x.split(5, dim=1)  # type: ignore[no-untyped-call]
        assert called.names == ["split.Tensor"], name
    with rewriting(("chunk",)):  # of unequal pieces
        assert [piece.shape[1] for piece in x.split([5, 7], dim=1)] == [5, 7]  # type: ignore[no-untyped-call]


def test_workaround_from_outside_leaves_the_program_alone() -> None:
    assert variables(("functionalization", "slice")) == {"XLA_DISABLE_FUNCTIONALIZATION": "0"}
    with rewriting(("functionalization",)):
        assert splits_into_sizes()


class Halves(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        a, b = x.split([3, 3], dim=1)  # type: ignore[no-untyped-call]
        return (b * 2, a)


@pytest.mark.parametrize("name", REWRITES)
def test_captured_program_computes_the_same_without_the_trigger(name: str) -> None:
    x = torch.randn(2, 6, 5)
    plain, rewritten = (Program(Whole(Halves(), names), (x,)) for names in ((), (name,)))
    assert [defect.id for defect, _ in find(plain.exported.graph, AFFECTED, ())] == ["split-with-sizes"]
    assert find(rewritten.exported.graph, AFFECTED, ()) == []
    pairs = zip(plain.exported.module()(x), rewritten.exported.module()(x), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


class Strided(nn.Module):
    """Holds a view as a buffer, and another as a plain attribute, as heads of detectors hold their anchors."""

    table: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("table", torch.rand(2100, 2, generator=torch.Generator().manual_seed(0)).bfloat16().T)
        self.other = self.table.clone()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.table + self.other


def test_contiguous_buffers_are_exported_and_nothing_else_changes() -> None:
    module, x = Strided(), torch.zeros(3, 2, 2100, dtype=torch.bfloat16)
    plain, settled = (Program(Whole(module, names), (x,)) for names in ((), ("contiguous",)))
    held = [*settled.exported.state_dict.values(), *settled.exported.constants.values()]
    assert len(held) == 2
    assert all(value.is_contiguous() for value in held)
    assert not plain.exported.state_dict["module.table"].is_contiguous(), "the module itself is left as it was"
    assert torch.equal(settled.exported.module()(x)[0], plain.exported.module()(x)[0])
    where = [find(program.exported.graph, {"openvino": "2026.4.1"}, ()) for program in (plain, settled)]
    assert {defect.id for defect, _ in where[0]} == {"openvino-strided-constants"}
    assert where[1] == []


def test_openvino_is_right_with_contiguous_buffers() -> None:
    target, x = OpenVino(), torch.zeros(3, 2, 2100, dtype=torch.bfloat16)
    if reason := target.missing():
        pytest.skip(reason)
    program = Program(Whole(Strided(), ("contiguous",)), (x,))
    try:
        (answer,) = target.compile(program, Options(Column(target.name), "bfloat16", lambda stage: None))(x)
    except Unsupported as error:
        pytest.skip(str(error))
    assert torch.equal(answer, program.module(x)[0])
