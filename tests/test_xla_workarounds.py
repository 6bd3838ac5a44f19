"""In the torch-xla environment: traced once, run for other images, what is respelled is right and the original wrong.

Of each defect's minimal cases `test_minimal_cases_on_the_real_front_end` shows it; here it is more shapes and
parameters, and a whole module.
"""

from __future__ import annotations

import os

import pytest
import torch
from test_applied import ALL, made
from test_rewrites import COVERED, Function, noise
from torch import Tensor, nn

import conformance
from conformance.cases.case import Column
from conformance.graphs.fx_match import calls
from conformance.programs.program import Program, Whole
from conformance.targets.protocol import Options
from conformance.targets.xla import Xla

pytestmark = pytest.mark.xla
XLA = Xla()
if XLA.missing():
    pytest.skip("needs the torch-xla environment", allow_module_level=True)
os.environ.update(XLA.variables)  # before torch-xla is imported: functionalization off, as torch-neuronx has it

NEURONX_CC = {"replicate_pad", "conv_transpose"}  # of these torch-xla is right, and neuronx-cc is not


def on_xla(module: nn.Module, example: Tensor, x: Tensor) -> Tensor | None:
    """What a program that was traced for an example gives for another input; None where it is refused."""
    try:
        with torch.no_grad():
            run = XLA.compile(
                Program(Whole(module.eval()), (example,)), Options(Column("xla"), "float32", lambda _: None)
            )
            return run(x)[0]
    except RuntimeError:
        return None


def is_right(found: Tensor | None, wanted: Tensor) -> bool:
    return found is not None and found.shape == wanted.shape and torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)


class Respelled(nn.Module):
    def __init__(self, name: str, function: Function) -> None:
        super().__init__()
        self.name, self.function = name, function

    def forward(self, x: Tensor) -> Tensor:
        with conformance.workarounds(self.name):
            found: Tensor = self.function(x)
        return found


@pytest.mark.parametrize("name", COVERED)
def test_respelled_it_is_right_and_the_original_is_not(name: str) -> None:
    spread = COVERED[name][:: max(len(COVERED[name]) // 4, 1)]
    right = []
    for function, shape in spread:
        example = noise(*shape, dtype=torch.float32)
        x = example.flip(-1) * 0.9 + 0.05
        wanted = function(x)
        assert is_right(on_xla(Respelled(name, function), example, x), wanted), f"{name} of {shape}"
        right.append(is_right(on_xla(calls(function), example, x), wanted))
    assert all(right) if name in NEURONX_CC else not all(right)


def test_module_with_all_of_them_is_right() -> None:
    module, example = made()
    x = example.flip(-1) * 0.8
    wanted = module(x)
    assert not is_right(on_xla(module, example, x), wanted)
    assert is_right(on_xla(conformance.apply_workarounds(module, *ALL), example, x), wanted)
