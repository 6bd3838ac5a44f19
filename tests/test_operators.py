"""Lint names what torch-xla does not lower, by a table that was measured, and nothing that is a constant anyway."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from math import pi
from typing import Any

import pytest
import torch
from operators_after import FROZEN, HARMLESS
from torch import Tensor, nn

from conformance.commands.lint import Finding, lint
from conformance.commands.model_loading import TraceSpec
from conformance.core.errors import UserError
from conformance.core.requirements import missing_packages
from conformance.defects import cpu_fallback
from conformance.defects.catalogue import find
from conformance.defects.frozen_fallback import FROZEN_FALLBACK
from conformance.defects.offering import offered
from conformance.defects.views_refused import VIEWS_REFUSED
from conformance.graphs.fx_match import calls
from conformance.operators.table import Fate, OperatorTable, table


class Net(nn.Module):
    """A convolution, something with its result, and a convolution of that."""

    def __init__(self, neck: Callable[..., Any] | nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.neck = neck if isinstance(neck, nn.Module) else calls(neck)

    def forward(self, x: Tensor) -> Any:
        return self.neck(self.stem(x))


def chosen() -> nn.Module:
    """The module that is linted; each test has its own."""
    raise AssertionError


@pytest.fixture
def linted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Finding]]:
    def found(neck: Callable[..., Any] | nn.Module, workarounds: tuple[str, ...] = ()) -> list[Finding]:
        monkeypatch.setattr(sys.modules[__name__], "chosen", lambda: Net(neck))
        return lint(f"{__name__}:chosen", TraceSpec((2, 16, 16), "float32", workarounds), "inf2", "2.29.1")

    return found


def test_table_is_read_without_torch() -> None:
    script = (
        "import sys; from conformance.operators.table import table; print(len(table().rows), 'torch' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert int(said[0]) > 400
    assert said[1] == "False"


def test_table_holds_for_what_the_defects_hold_for() -> None:
    assert table().package == "torch-xla"
    assert table().versions["torch-xla"].startswith("2.9")
    for defect in (FROZEN_FALLBACK, VIEWS_REFUSED):
        assert defect.packages == {"torch-xla": table().holds_for}


def test_condition_decides_where_the_table_has_several_fates_and_nowhere_else() -> None:
    several = {
        row.operator
        for row in table().rows
        for functionalization in (False, True)
        if len(table().fates(row.operator, functionalization)) > 1
    }
    assert several == set(cpu_fallback.CONDITIONS)


@pytest.mark.parametrize("name", FROZEN)
def test_operator_that_is_left_to_the_cpu_is_named_with_its_module(
    name: str, linted: Callable[..., list[Finding]]
) -> None:
    if name in ("nms", "roialign") and (reason := missing_packages({"torchvision": "rcnn"}, name)):
        pytest.skip(reason)
    found = [one for one in linted(FROZEN[name]) if one.defect == "frozen-fallback"]
    assert found, found
    assert {one.module for one in found} == {"neck"}, found
    assert all(one.certainty == "reproduced" for one in found)


@pytest.mark.parametrize("name", HARMLESS)
def test_nothing_is_said_of_what_depends_on_a_shape_alone(name: str, linted: Callable[..., list[Finding]]) -> None:
    assert linted(HARMLESS[name]) == []


def _branch(y: Tensor) -> Tensor:
    return y / 255 if y.max() > 1 else y


def _loop(y: Tensor) -> Tensor:
    for _ in range(int(y.abs().mean())):
        y = y * 2
    return y


def _listed(y: Tensor) -> Tensor:
    row: list[float] = y[0, 0, 0].tolist()
    return y * sum(row)


def _as_numpy(y: Tensor) -> Tensor:
    return y * float(y.detach().numpy().max())


@pytest.mark.parametrize(
    ("neck", "operators"),
    [
        (_branch, {"_local_scalar_dense", "is_nonzero"}),
        (_loop, {"_local_scalar_dense"}),
        (_listed, {"item", "tolist"}),
        (_as_numpy, {"numpy"}),
        (lambda y: y[y > 0].view(-1, 1).repeat(1, len(y[y > 0]) % 3), {"nonzero", "index"}),
    ],
)
def test_model_that_cannot_be_exported_is_run(
    neck: Callable[[Tensor], Any], operators: set[str], linted: Callable[..., list[Finding]]
) -> None:
    found = linted(neck)
    assert {one.module for one in found} == {"neck"}
    assert {one.defect for one in found} == {"frozen-fallback"}
    assert {one.operator for one in found} <= operators, found


def test_of_a_run_nothing_is_named_that_depends_on_a_shape(linted: Callable[..., list[Finding]]) -> None:
    def neck(y: Tensor) -> Tensor:
        y = y * torch.bucketize(torch.ones_like(y).cumsum(2), torch.arange(3.0)).max().item()
        return y * 2 if y.mean() > 0 else y

    found = linted(neck)
    assert found
    assert {one.operator for one in found} <= {"_local_scalar_dense", "is_nonzero"}


def test_what_cannot_be_exported_and_has_nothing_known_is_one_line(linted: Callable[..., list[Finding]]) -> None:
    class Raises(nn.Module):
        def forward(self, y: Tensor) -> Tensor:
            raise ValueError("no such layer")

    with pytest.raises(UserError, match=r"cannot be exported: .*no such layer"):
        linted(Raises())


@pytest.mark.parametrize(
    ("neck", "on", "defects"),
    [
        (lambda y: y.mean((2, 3)).diag_embed(), (), ["views-refused"]),
        (lambda y: nn.functional.affine_grid(y[:, 0, :2, :3], [2, 3, 4, 4]), (), ["views-refused"]),
        (lambda y: nn.functional.bilinear(y[:, 0], y[:, 1], y.new_ones(3, 8, 8)), (), ["views-refused"]),
        (lambda y: y[0, 0].clone().fill_diagonal_(1), (), ["views-refused"]),
        (lambda y: torch.view_as_complex(y.unflatten(3, (-1, 2))).abs(), (), ["views-refused", "complex-numbers"]),
        (nn.PixelUnshuffle(2), (), ["views-refused"]),
        (nn.PixelUnshuffle(2), ("functionalization",), []),
        (lambda y: y.unfold(2, 3, 1), (), ["views-refused"]),
        (lambda y: y.unfold(2, 3, 1), ("functionalization",), ["frozen-fallback"]),
        (lambda y: y.as_strided((2, 8, 6, 3), (512, 64, 8, 1)), (), ["as-strided"]),
        (lambda y: y.as_strided((2, 8, 8, 8), (512, 64, 8, 1)), (), []),
        (lambda y: torch.fft.rfft2(y).abs(), (), ["frozen-fallback", "complex-numbers"]),
        (nn.Upsample(scale_factor=2), (), []),
        (nn.Upsample(scale_factor=2, mode="bicubic"), (), ["frozen-fallback"]),
        (nn.MaxPool2d(3), (), []),
        (nn.MaxPool2d(3, dilation=2), (), ["frozen-fallback"]),
        (nn.AdaptiveAvgPool2d(3), (), ["frozen-fallback"]),
        (nn.AdaptiveAvgPool2d(4), (), []),
        (lambda y: y[:, [1, 0]], (), []),
        (lambda y: y[:, [True, False] * 4], (), []),
    ],
)
def test_arguments_and_functionalization_decide(
    neck: Callable[[Tensor], Any] | nn.Module,
    on: tuple[str, ...],
    defects: list[str],
    linted: Callable[..., list[Finding]],
) -> None:
    assert [one.defect for one in linted(neck, on)] == defects


def _resized_and_sampled(y: Tensor) -> Tensor:
    grid = y[:, :2].movedim(1, -1).tanh()
    resized = nn.functional.interpolate(y, scale_factor=2, mode="bicubic")[..., :8, :8]
    bicubic = nn.functional.grid_sample(y, grid, mode="bicubic", align_corners=False)  # which no rewrite covers
    return resized + bicubic + torch.hypot(y, y + 1)


def _and_branches(y: Tensor) -> Tensor:
    z = _resized_and_sampled(y)
    return z * 2 if z.mean() > 0 else z


@pytest.mark.parametrize("neck", [_resized_and_sampled, _and_branches])
def test_workarounds_are_those_that_help_at_the_place(
    neck: Callable[[Tensor], Tensor], linted: Callable[..., list[Finding]]
) -> None:
    """Tried on the graph, or on a run of what has none."""
    found = {one.operator.removesuffix("_2d"): one.workarounds for one in linted(neck)}
    assert found.pop("upsample_bicubic2d") == ("resize",)
    assert {"grid_sampler", "hypot"} <= set(found)
    assert not any(found.values())
    assert "upsample_bicubic2d" not in {one.operator for one in linted(neck, ("resize",))}


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda y: nn.functional.grid_sample(y, y[:, :2].movedim(1, -1), align_corners=True), ("grid_sample",)),
        (lambda y: nn.functional.grid_sample(y, y[:, :2].movedim(1, -1), "bicubic", align_corners=True), ()),
        (lambda y: nn.functional.unfold(y, 3), ("unfold",)),
        (lambda y: y.clone().masked_fill(y > 0, 1).index_put((y > 0,), y.new_tensor(2)), ("mask",)),
        (lambda y: y.index_put((y > 0,), y[:, 0].flatten()[: 2 * 8 * 8 * 4]), ()),
        (lambda y: torch.hypot(y, y + 1), ()),
    ],
)
def test_of_a_graph_alone_they_are_told_from_the_arguments(
    function: Callable[[Tensor], Tensor], names: tuple[str, ...]
) -> None:
    graph = torch.export.export(calls(function), (torch.rand(2, 8, 8, 8),)).graph
    (node,) = (node for defect, node in find(graph, {"torch-xla": "2.9.0"}, ()) if defect is FROZEN_FALLBACK)
    assert offered(FROZEN_FALLBACK, (), [node]) == names


def test_operator_that_is_not_in_the_table_is_not_named(
    monkeypatch: pytest.MonkeyPatch, linted: Callable[..., list[Finding]]
) -> None:
    """What is named is named because it was measured."""
    assert [one.operator for one in linted(FROZEN["hypot"])] == ["hypot"]
    rows = [row for row in table().rows if row.operator != "aten::hypot"]
    shorter = OperatorTable.model_validate({**table().model_dump(), "rows": [row.model_dump() for row in rows]})
    monkeypatch.setattr(cpu_fallback, "table", lambda: shorter)
    assert linted(FROZEN["hypot"]) == []


def test_operator_that_was_measured_otherwise_is_named_otherwise(
    monkeypatch: pytest.MonkeyPatch, linted: Callable[..., list[Finding]]
) -> None:
    rows = [
        row.model_copy(update={"off": Fate.REFUSED}) if row.operator == "aten::hypot" else row for row in table().rows
    ]
    other = OperatorTable.model_validate({**table().model_dump(), "rows": [row.model_dump() for row in rows]})
    monkeypatch.setattr(cpu_fallback, "table", lambda: other)
    assert [one.defect for one in linted(FROZEN["hypot"])] == ["views-refused"]


def test_what_nothing_reads_is_not_named(linted: Callable[..., list[Finding]]) -> None:
    def neck(y: Tensor) -> Tensor:
        torch.hypot(y, y + 1)
        return y * pi

    assert linted(neck) == []
