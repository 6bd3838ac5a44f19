"""What an auto-cast rounds and what it leaves alone: as the twin runs it, and written into a program."""

from __future__ import annotations

import pytest
import torch
import toys
from attention_toys import program
from torch import Tensor

from conformance.programs.autocast import auto_cast
from conformance.programs.program import Program, Whole

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
W = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))


def rounded(x: Tensor) -> Tensor:
    return x.bfloat16().float()


def on_the_grid(x: Tensor) -> bool:
    return torch.equal(rounded(x), x)


def test_products_are_of_rounded_numbers_and_are_not_rounded_themselves() -> None:
    with auto_cast("matmult-bf16"):
        product, total = X @ W, X + X
    assert torch.equal(product, rounded(X) @ rounded(W))
    assert not on_the_grid(product)
    assert torch.equal(total, X + X), "nothing else is cast"
    assert product.dtype == torch.float32


@pytest.mark.parametrize("function", [lambda x: x + 1 / 3, lambda x: (x + 1 / 3).sigmoid(), lambda x: x @ W])
def test_everything_is_rounded(function: object) -> None:
    with auto_cast("all-bf16"):
        y = function(X)  # type: ignore[operator]
    assert on_the_grid(y)
    assert y.dtype == torch.float32


def test_writes_and_views_stay_what_they_are() -> None:
    x = X.clone()
    with auto_cast("all-bf16"):
        x[1].add_(1 / 3)
        x.view(2, 12)[1] *= 0.3
    assert on_the_grid(x[1]), "what was written is rounded, in place"
    assert on_the_grid(x[2:]), "what was written is rounded, in place"
    assert torch.equal(x[0], X[0]), "what was not is as it was"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_nothing_is_cast_where_nothing_is_asked_for(dtype: str) -> None:
    with auto_cast(dtype):
        assert torch.equal(X @ W, X.mm(W))


@pytest.mark.parametrize("how", ["math", "sdpa"])
def test_casts_in_a_program_are_those_of_the_twin(how: str) -> None:
    subject = program(how)
    plain = subject.module(*subject.inputs)[0]
    with auto_cast("matmult-bf16"):
        wanted = subject.module(*subject.inputs)[0]
    cast = subject.with_casts
    exported = cast.exported.module()(*cast.inputs)[0]
    distance = (plain - wanted).norm()
    assert distance > 1e-4 * plain.norm(), "or there is nothing to agree on"
    for given in (cast.module(*cast.inputs)[0], exported):
        assert (given - wanted).norm() < 0.3 * distance
    assert torch.equal(subject.module(*subject.inputs)[0], plain), "the program itself is as it was"


def test_casts_of_convolutions_are_in_the_graph() -> None:
    cast = Program(Whole(toys.Toy().build("1", "detect").module), toys.Toy().inputs(toys.CASE.subject, 0)).with_casts
    names = [str(node.target) for node in cast.exported.graph.nodes]
    convolutions = sum("conv2d" in name for name in names)
    assert convolutions
    assert sum("to.dtype" in name or "_to_copy" in name for name in names) >= 4 * convolutions
