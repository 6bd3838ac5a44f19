"""How far rounding alone can move a program's outputs: where they are sums that nearly cancel, that is far."""

from __future__ import annotations

import torch
from torch import Tensor

from conformance.cases.case import stored_dtype
from conformance.cases.outcome import Aspect, GroupFigures, Outcome
from conformance.compare.limits import limit
from conformance.compare.metrics import OF_WHOLE
from conformance.compare.verdict import each_output, split_groups
from conformance.golden.baseline import largest_errors
from conformance.properties.module import Steps, example_inputs
from conformance.properties.program import ProgramSpec

_DRAWS = 4


def only_rounding(program: ProgramSpec, outcome: Outcome, dtype: str) -> bool:
    """Whether rounding every value of the program once explains a wrong outcome.

    The reference is computed again with every value that is computed, constants and inputs too, moved at random by up
    to one rounding of the dtype. What is wrong must be no further from it than the limit allows, were that the
    baseline error.
    """
    check = outcome.checked(Aspect.MODEL)
    even = check is not None and check.call is not None and check.call % 2 == 0
    allowed, moved = limit(dtype).outputs, rounding_error(program, dtype, 1 if even else 0)
    return all(_explained(group, moved[name], allowed) for name, group in outcome.groups.items() if group.bad)


def rounding_error(program: ProgramSpec, dtype: str, index: int = 0) -> dict[str, dict[str, list[float]]]:
    """Per output, measure and image, the largest error of a few such runs, for the inputs of an index."""
    inputs = tuple(x.double() for x in example_inputs(program, index))

    def parts(module: Steps) -> dict[str, Tensor]:
        outputs = module(*inputs)
        return split_groups(outputs, each_output(len(outputs)), len(inputs[0]))

    runs = (parts(Rounded(program, dtype, seed)) for seed in range(_DRAWS))
    return largest_errors(runs, parts(Steps(program).double()), OF_WHOLE)


class Rounded(Steps):
    """The program in float64, with every value moved a little."""

    def __init__(self, program: ProgramSpec, dtype: str, seed: int) -> None:
        super().__init__(program)
        self.unit = torch.finfo(getattr(torch, stored_dtype(dtype))).eps / 2
        self.generator = torch.Generator().manual_seed(seed)
        self.double()
        for buffer in self.buffers():
            buffer.copy_(self.seen(buffer))

    def seen(self, value: Tensor) -> Tensor:
        """The value as it is read: up to one rounding away; whole numbers as they are."""
        if not value.is_floating_point():
            return value
        moves = torch.rand(value.shape, generator=self.generator, dtype=torch.float64) * 2 - 1
        return value * (1 + self.unit * moves)


def _explained(group: GroupFigures, moved: dict[str, list[float]], allowed: float) -> bool:
    wrong = [index for index, image in enumerate(group.per_image) if image.bad]
    errors = {name: [getattr(image, f"rel_{name.lower()}") for image in group.per_image] for name in OF_WHOLE}
    return bool(wrong) and all(errors[name][i] <= allowed * moved[name][i] for name in OF_WHOLE for i in wrong)
