"""Each rewrite computes what PyTorch computes, of operators that torch-xla lowers, and leaves the rest alone.

Those that only move values are right to the bit; the others to rounding, in float64.
"""

# mypy: allow-untyped-calls, no-warn-return-any

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from conformance.defects.eager import met
from conformance.graphs.fx_match import calls, operator
from conformance.operators.parts import Dependent, written_down
from conformance.programs.program import Program, Whole
from conformance.programs.rewrites import coefficients
from conformance.programs.rewrites.tables import TABLES
from conformance.programs.workarounds import WORKAROUNDS, rewriting

Function = Callable[[Tensor], Any]
ROUNDING = 1e-13  # of float64, relative to the largest value: sums of some hundred terms
EXACT = {"max_pool", "channel_shuffle", "pixel_unshuffle", "unfold", "as_strided", "mask", "replicate_pad"}
IMAGE, ROW, VOLUME = (2, 4, 7, 10), (2, 3, 7), (2, 2, 4, 5, 6)


def resized(mode: str, **options: Any) -> Function:
    return lambda x: F.interpolate(x, mode=mode, **options)


def sampled(mode: str, padding: str, corners: bool) -> Function:
    def sample(x: Tensor) -> Tensor:
        """At places that lie beyond the image, too."""
        shape = (len(x), *range(3, x.dim() + 1), x.dim() - 2)
        grid = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 5 - 2.5
        return F.grid_sample(x, grid.to(x), mode, padding, corners)

    return sample


def convolved(dimensions: int, groups: int, **options: Any) -> Function:
    def convolve(x: Tensor) -> Tensor:
        made = torch.Generator().manual_seed(1)
        weight = torch.randn(x.shape[1], 3, *(3, 2, 4)[:dimensions], generator=made, dtype=torch.float64)
        bias = torch.randn(3 * groups, generator=made, dtype=torch.float64)
        function = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}[dimensions]
        return function(x, weight.to(x), bias.to(x), groups=groups, **options)

    return convolve


def written(write: Callable[[Tensor], object]) -> Function:
    def call(x: Tensor) -> Tensor:
        y = x * 1
        write(y)
        return y

    return call


# The spread that each rewrite is held to: workaround, what is called, and on what shape.
COVERED: dict[str, list[tuple[Function, tuple[int, ...]]]] = {
    "resize": [
        *((resized(m, size=s), ROW) for m in ("nearest", "nearest-exact", "linear") for s in (3, 7, 16, 1)),
        *(
            (resized(mode, size=size), IMAGE)
            for mode in ("nearest", "nearest-exact", "bilinear", "bicubic")
            for size in ((3, 4), (7, 20), (13, 17), (1, 1), (21, 5))
        ),
        *(
            (resized(mode, scale_factor=factor), IMAGE)
            for mode in ("nearest", "nearest-exact", "bilinear", "bicubic")
            for factor in (2, 1.5, 0.6, (1.1, 3.0), 0.34)
        ),
        *(
            (resized(mode, scale_factor=1.7, recompute_scale_factor=True), IMAGE)
            for mode in ("nearest", "bilinear", "bicubic")
        ),
        *(
            (resized(mode, align_corners=True, **size), IMAGE)
            for mode in ("bilinear", "bicubic")
            for size in ({"size": (13, 1)}, {"scale_factor": 1.6}, {"size": (3, 30)})
        ),
        *(
            (resized(mode, antialias=True, align_corners=corners, **size), IMAGE)
            for mode in ("bilinear", "bicubic")
            for corners in (False, True)
            for size in ({"size": (3, 4)}, {"scale_factor": 0.45}, {"size": (13, 5)})
        ),
        *((resized(mode, size=(5, 5, 9)), VOLUME) for mode in ("nearest", "nearest-exact", "trilinear")),
        (resized("trilinear", scale_factor=1.3, align_corners=True), VOLUME),
    ],
    "grid_sample": [
        (sampled(mode, padding, corners), shape)
        for mode in ("bilinear", "nearest")
        for padding in ("zeros", "border", "reflection")
        for corners in (False, True)
        for shape in (IMAGE, (1, 2, 1, 3), VOLUME)
    ],
    "max_pool": [
        *((lambda x, d=d: F.max_pool2d(x, 3, 1, 1, d), IMAGE) for d in (2, (1, 2), 3)),
        *(
            (lambda x, s=s, c=c: F.max_pool2d(x, (2, 3), s, (1, 1), (2, 1), ceil_mode=c), IMAGE)
            for s in (None, 1, 2, (3, 2))
            for c in (False, True)
        ),
        (lambda x: torch.max_pool2d(x, 2, dilation=3), (3, 8, 8)),
        (lambda x: F.max_pool2d(x, 5, 2, 1, ceil_mode=True), (1, 2, 2, 9)),  # the window is larger than the image
        (lambda x: F.max_pool1d(x, 2, dilation=2), ROW),
        (lambda x: F.max_pool3d(x, 2, 1, 1, 2), VOLUME),
    ],
    "adaptive_pool": [
        *((lambda x, n=n: F.adaptive_avg_pool2d(x, n), IMAGE) for n in ((3, 4), (2, None), (13, 11), (1, 3))),
        *((lambda x, n=n: F.adaptive_max_pool2d(x, n), IMAGE) for n in ((3, 4), (2, None), (13, 11), (1, 3))),
        (lambda x: F.adaptive_avg_pool1d(x, 4), ROW),
        (resized("area", size=4), ROW),
        (resized("area", size=(3, 4)), IMAGE),
        (resized("area", scale_factor=(0.5, 1.7)), IMAGE),
        (resized("area", size=(3, 5, 4)), VOLUME),
        (lambda x: F.adaptive_max_pool1d(x, 4), ROW),
        (lambda x: F.adaptive_avg_pool3d(x, (3, 2, 4)), VOLUME),
        (lambda x: F.adaptive_max_pool3d(x, (3, 2, 4)), VOLUME),
        (lambda x: F.adaptive_max_pool3d(x, (2, 5, 3)), VOLUME),  # even windows, which torch-xla leaves to the CPU
    ],
    "channel_shuffle": [
        (lambda x: F.channel_shuffle(x, 2), IMAGE),
        (lambda x: F.channel_shuffle(x, 4), (2, 8, 5)),
        (lambda x: torch.native_channel_shuffle(x, 2), IMAGE),
    ],
    "pixel_unshuffle": [
        (lambda x: F.pixel_unshuffle(x, 2), (2, 3, 4, 6)),
        (lambda x: F.pixel_unshuffle(input=x, downscale_factor=3), (5, 6, 3)),
    ],
    "unfold": [
        (lambda x: F.unfold(x, 3), IMAGE),
        (lambda x: F.unfold(x, (2, 3), dilation=(2, 1), padding=(1, 2), stride=(3, 2)), IMAGE),
        (lambda x: F.unfold(x, 2, stride=2), (4, 7, 10)),
        *((lambda x, d=d: x.unfold(d, 3, 2), IMAGE) for d in (1, 2, -1)),
        (lambda x: x.unfold(3, 10, 1).unfold(2, 2, 5), IMAGE),
    ],
    "as_strided": [
        (lambda x: x.as_strided((2, 3, 4), (280, 70, 2), 1) * 1, IMAGE),
        (lambda x: torch.as_strided(x, (4, 3, 3), (9, 1, 1)) * 1, IMAGE),
        (lambda x: x.as_strided((3,), (0,)) * 1, IMAGE),
    ],
    "mask": [
        (written(lambda y: y.__setitem__(y > 0.5, 2.0)), IMAGE),
        (written(lambda y: y.__setitem__(y[:, :, 0, 0] > 0.5, y[0, 0] * 2)), IMAGE),
        (written(lambda y: y.__setitem__((..., y[0, 0, 0] > 0.5), 3)), IMAGE),
        (written(lambda y: y.__setitem__((slice(None), y[0, :, :, 0] > 0.5), torch.full((1,), 7.0))), IMAGE),
        (written(lambda y: y[1].__setitem__(y[1] > 0.5, 2.0)), IMAGE),  # through a view
        (written(lambda y: y.index_put_((y > 0.5,), y.new_tensor(2))), IMAGE),
        (lambda x: x.index_put((x[:, :, 0, 0] > 0.5,), x[0, 0] * 3), IMAGE),
        (lambda x: torch.index_put(x, (x < 0.5,), x.new_tensor([1])), IMAGE),
    ],
    "replicate_pad": [
        (lambda x: F.pad(x, (1, 2, 0, 1, 3, 0), mode="replicate"), VOLUME),
        (lambda x: F.pad(x, (2, 2, 2, 2, 1, 1), mode="replicate"), IMAGE),  # a volume without a batch
    ],
    "conv_transpose": [
        (convolved(2, 4), IMAGE),
        (convolved(2, 4, stride=2, padding=1, output_padding=1), IMAGE),
        (convolved(2, 4, stride=(1, 3), padding=(4, 0)), IMAGE),  # more padding than the kernel reaches
        (convolved(2, 1, stride=2, dilation=2), IMAGE),
        (convolved(2, 2, stride=(3, 2), dilation=(1, 2), padding=1, output_padding=(1, 0)), IMAGE),
        (convolved(1, 3, stride=4, padding=1), ROW),
        (convolved(3, 1, stride=2, dilation=(2, 1, 3), padding=1), VOLUME),
    ],
}
CASES = [
    pytest.param(name, *one, id=f"{name}-{i}") for name, spread in COVERED.items() for i, one in enumerate(spread)
]


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def require_equal(name: str, function: Function, x: Tensor, rounding: float) -> None:
    """The same shape, dtype and values, in every output."""
    wanted = function(x)
    with rewriting((name,)):
        found = function(x)
    require_close(found, wanted, rounding)


def require_close(found: Tensor, wanted: Tensor, rounding: float) -> None:
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert (found - wanted).abs().max() <= rounding * wanted.abs().max()


def test_every_rewrite_has_a_spread() -> None:
    assert {*COVERED, "slice", "chunk", "tensor_split"} == set(TABLES)
    assert all(WORKAROUNDS[name].changes for name in TABLES)


@pytest.mark.parametrize(("name", "function", "shape"), CASES)
def test_it_computes_the_same(name: str, function: Function, shape: tuple[int, ...]) -> None:
    require_equal(name, function, noise(*shape), 0 if name in EXACT else ROUNDING)
    require_equal(name, function, noise(*shape, dtype=torch.float32), 0 if name in EXACT else 2e-6)


@pytest.mark.parametrize(("name", "function", "shape"), CASES)
def test_nothing_of_it_is_left_to_the_cpu_or_refused(name: str, function: Function, shape: tuple[int, ...]) -> None:
    x = noise(*shape, dtype=torch.float32)
    assert met(Program(Whole(calls(function), (name,)), (x,)), functionalization=False) == []


@pytest.mark.parametrize("name", COVERED)
def test_what_it_changes_is_in_no_graph_any_more(name: str) -> None:
    for function, shape in COVERED[name][:: max(len(COVERED[name]) // 4, 1)]:
        x = noise(*shape, dtype=torch.float32)
        plain, rewritten = (Program(Whole(calls(function), on), (x,)).exported for on in ((), (name,)))
        assert operators(plain) & set(WORKAROUNDS[name].changes), "or there is nothing to respell"
        assert not operators(rewritten) & set(WORKAROUNDS[name].changes)
        require_close(rewritten.module()(x * 0.5)[0], plain.module()(x * 0.5)[0], 0 if name in EXACT else 2e-6)


def operators(program: torch.export.ExportedProgram) -> set[str]:
    return {operator(node) for node in program.graph.nodes}


# What a rewrite leaves to torch: without a rule of its own, it must not be guessed.
UNCOVERED: dict[str, list[tuple[Function, tuple[int, ...]]]] = {
    "resize": [
        (lambda x: F.interpolate((x * 9).to(torch.uint8), size=(3, 4), mode="bilinear"), IMAGE),
        (resized("area", size=(3, 4)), IMAGE),
    ],
    "grid_sample": [(sampled("bicubic", "zeros", False), IMAGE)],
    "max_pool": [
        (lambda x: F.max_pool2d(x, 3, 2, 1), IMAGE),
        (lambda x: F.max_pool2d(x, 3, dilation=2, return_indices=True), IMAGE),
    ],
    "adaptive_pool": [
        (lambda x: F.adaptive_avg_pool2d(x, (7, 5)), IMAGE),
        (lambda x: F.adaptive_max_pool2d(x, 3, return_indices=True), IMAGE),
        (lambda x: F.adaptive_max_pool2d(x, 1), IMAGE),
    ],
    "as_strided": [
        (lambda x: x.transpose(1, 2).as_strided((3,), (2,)), IMAGE),  # another tensor's memory
        (lambda x: x[1].as_strided((3,), (2,)), IMAGE),
    ],
    "mask": [
        (written(lambda y: y.__setitem__(0, 1.0)), IMAGE),
        (written(lambda y: y.__setitem__(y > 0.5, y[y > 0.5] * 2)), IMAGE),  # a value for each place
        (written(lambda y: y.__setitem__((0, y[0] > 0.5), 1.0)), IMAGE),
        (written(lambda y: y.index_put_((y > 0.5,), y.new_tensor(2), accumulate=True)), IMAGE),
        (lambda x: x[x > 0.5], IMAGE),
    ],
    "replicate_pad": [
        (lambda x: F.pad(x, (1, 1, 1, 1), mode="replicate"), IMAGE),
        (lambda x: F.pad(x, (1, 1, 1, 1, 1, 1), mode="reflect"), VOLUME),
        (lambda x: F.pad(x, (1, 1)), IMAGE),
    ],
    "conv_transpose": [(convolved(2, 1, stride=2), IMAGE), (convolved(2, 2, dilation=2), IMAGE)],
    "slice": [(lambda x: x.split(2, 1), IMAGE)],
}


@pytest.mark.parametrize(
    ("name", "function", "shape"),
    [pytest.param(name, *one, id=f"{name}-{i}") for name, many in UNCOVERED.items() for i, one in enumerate(many)],
)
def test_what_it_does_not_cover_is_left_to_torch(name: str, function: Function, shape: tuple[int, ...]) -> None:
    x = noise(*shape, dtype=torch.float32)
    seen = [called(function, x, *names) for names in ((), (name,))]
    assert seen[0] == seen[1]


def called(function: Function, x: Tensor, *names: str) -> list[str]:
    """The operators of a run, in their order, without views, of which torch makes one more for a mode to see."""
    program = Program(Whole(calls(function), names), (x,))
    found: list[str] = []
    with written_down(lambda func, args, kwargs: found.append(func.name()), Dependent()):
        program.module(x)
    return [name for name in found if name != "aten::view"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: F.interpolate(x, size=(3, 4), scale_factor=2), "only one of size or scale_factor"),
        (lambda x: F.interpolate(x, size=(0, 4)), "should be greater than 0"),
        (lambda x: F.interpolate(x, size=(3, 4), mode="cubic"), "cubic"),
        (lambda x: F.max_pool2d(x, 2, padding=2, dilation=2), "pad should be at most half"),
        (lambda x: F.max_pool2d(x, 9, dilation=2), "too small"),
        (lambda x: F.channel_shuffle(x, 3), "divisible"),
        (lambda x: F.pixel_unshuffle(x, 3), "divisible"),
        (lambda x: F.unfold(x, 11), "calculated shape"),
        (lambda x: x.unfold(1, 9, 1), "maximum size"),
        (lambda x: x.as_strided((999,), (9,)), "out of bounds"),
        (lambda x: x.clone().__setitem__(x[0] > 0, 1.0), "shape of the mask"),
        (lambda x: F.grid_sample(x, x[:1, :2].movedim(1, -1), align_corners=True), "batch size"),
    ],
)
def test_what_torch_refuses_is_refused_by_torch(function: Function, message: str) -> None:
    with (
        rewriting(tuple(COVERED)),
        pytest.raises((RuntimeError, ValueError, IndexError, NotImplementedError)) as error,
    ):
        function(noise(*IMAGE))
    assert message in str(error.value)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_resizing_computes_the_same(data: st.DataObject) -> None:
    """To any size or by any factor, in every dtype; the nearest pixels to the bit, also where rounding decides."""
    mode = data.draw(st.sampled_from(["nearest", "nearest-exact", "bilinear", "bicubic"]))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
    shape = (2, 3, data.draw(st.integers(1, 24)), data.draw(st.integers(1, 24)))
    factors = st.integers(10, 400).map(lambda hundredths: hundredths / 100)
    options: dict[str, Any] = data.draw(
        st.fixed_dictionaries({"size": st.tuples(st.integers(1, 50), st.integers(2, 50))})
        | st.fixed_dictionaries({"scale_factor": st.tuples(factors, factors)})
    )
    if mode in ("bilinear", "bicubic"):
        smooth = dtype != torch.bfloat16 and data.draw(st.booleans())  # PyTorch has no such kernel
        options |= {"align_corners": data.draw(st.booleans()), "antialias": smooth}
    if "scale_factor" in options:
        after = [int(n * factor) for n, factor in zip(shape[2:], options["scale_factor"], strict=True)]
        assume(after[0] > 0 and after[1] > 1)  # antialiased to one column PyTorch takes the first pixel
    rounding = 0 if "nearest" in mode else {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 2e-2}[dtype]
    require_equal("resize", resized(mode, **options), noise(*shape, dtype=dtype), rounding)


def test_wrong_rewrite_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the size where the factor is given: what torch-xla does."""
    right = coefficients.step
    monkeypatch.setattr(
        coefficients, "step", lambda before, after, factor, corners: right(before, after, None, corners)
    )
    for mode in ("nearest", "bilinear", "bicubic"):
        with pytest.raises(AssertionError):
            require_equal("resize", resized(mode, scale_factor=1.7), noise(*IMAGE), 1e-6)


def test_gradients_are_the_same() -> None:
    for name in ("resize", "grid_sample", "max_pool", "adaptive_pool", "conv_transpose", "mask"):
        function, shape = COVERED[name][0]
        gradients = []
        for names in ((), (name,)):
            x = noise(*shape).requires_grad_()
            with rewriting(names):
                function(x).square().sum().backward()
            gradients.append(x.grad)
        torch.testing.assert_close(*gradients)
