"""Whether another image is further away than rounding: seen where it is, and where it is not."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from toys import CASE, Toy

from conformance.compare.metrics import by_image
from conformance.golden.conditioning import conditioning
from conformance.golden.reference import Golden, record
from conformance.systems.protocol import Model


def flat(run: Golden, path: str) -> Tensor:
    return by_image(run.of_layer(path))


def measured(model: Model, dtypes: tuple[str, ...]) -> dict[str, tuple[str, bool]]:
    inputs, others = (Toy().inputs(CASE.subject, index) for index in (0, 1))
    exact, other = (
        record(copy.deepcopy(model.module).double(), model.layers, tuple(x.double() for x in images))
        for images in (inputs, others)
    )
    found = conditioning(model.module, model.layers, inputs, exact, other, dtypes, flat)
    return {dtype: (figures.layer, figures.sufficient) for dtype, figures in found.items()}


def test_a_live_model_can_be_judged_in_every_dtype() -> None:
    found = measured(Toy().build("1", "detect"), ("float32", "bfloat16"))
    assert [sufficient for _, sufficient in found.values()] == [True, True]


class Deaf(nn.Module):
    """Its second layer hardly hears the first: what is left of the image is as small as bfloat16 rounding."""

    def __init__(self) -> None:
        super().__init__()
        self.loud, self.deaf = nn.Identity(), nn.Linear(24, 24)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.deaf(self.loud(x) * 0.01 + 1)
        return y


def test_a_deaf_layer_is_named_and_its_network_not_judged() -> None:
    torch.manual_seed(0)
    deaf = Model(Deaf().eval().requires_grad_(False), ("loud", "deaf"), "deaf")
    found = measured(deaf, ("float32", "bfloat16"))
    assert found["float32"][1], "float32 rounding is far less"
    assert found["bfloat16"] == ("deaf", False)


def test_a_dead_layer_cannot_be_judged_at_all() -> None:
    torch.manual_seed(0)
    dead = Deaf().eval().requires_grad_(False)
    dead.deaf.weight.zero_()
    found = measured(Model(dead, ("loud", "deaf"), "dead"), ("float32",))
    assert found["float32"] == ("deaf", False)
