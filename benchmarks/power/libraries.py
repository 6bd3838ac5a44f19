"""Gates that are other libraries', called as these are used. Each takes outputs and what they are compared with."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Any

import torch
from torch import Tensor, nn

# What torchbench's runner gives for inference; nothing is drawn from what it logs about each failure.
DYNAMO_TOLERANCE = 1e-4


def polygraphy(answers: Sequence[Tensor], references: Sequence[Tensor]) -> bool:
    """Polygraphy's default comparison of two runners. NumPy has no bfloat16: that is widened."""
    from polygraphy.comparator import IterationResult, SimpleCompareFunc
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    sides = [
        IterationResult({f"output.{i}": _numpy(tensor) for i, tensor in enumerate(side)}, runner_name=name)
        for name, side in (("device", answers), ("cpu", references))
    ]
    compared = SimpleCompareFunc(fail_fast=True)(*sides)
    return bool(compared) and all(bool(result) for result in compared.values())


def dynamo_same(answers: Sequence[Tensor], references: Sequence[Tensor], exact: Sequence[Tensor]) -> bool:
    """The rule of torch dynamo's benchmarks; `exact` are the outputs in float64."""
    from torch._dynamo.utils import same

    return bool(
        same(
            list(references),
            list(answers),
            list(exact),
            tol=DYNAMO_TOLERANCE,
            log_error=logging.getLogger(__name__).debug,
        )
    )


def torchbridge_suite(answers: Sequence[Tensor], references: Sequence[Tensor]) -> bool:
    """Torchbridge's suite over the backends it finds, whose CPU gives these answers. It compares one tensor, so it is
    given all outputs as one."""
    from torchbridge.testing import CrossBackendTestSuite

    class Recorded(CrossBackendTestSuite):
        """Plays what was computed: first its reference, then what it compares with it."""

        def __init__(self) -> None:
            self._outputs: Iterator[Tensor] = chain([_flat(references)], repeat(_flat(answers)))

        def build_model(self) -> nn.Module:
            return nn.Identity()

        def build_inputs(self) -> dict[str, Tensor]:
            return {}

        def forward(self, model: Any, inputs: Any, device: Any) -> Tensor:
            return next(self._outputs)

    results = {result.backend_name: result for result in Recorded().run()}
    return bool(results["cpu"].passed)


def torchbridge_table(answers: Sequence[Tensor], references: Sequence[Tensor], dtype: str, backend: str) -> bool:
    """Whether the largest difference is within torchbridge's tolerance for a backend it does not find here."""
    from torchbridge.testing import ToleranceDB

    largest = float((_flat(answers) - _flat(references)).abs().max())
    return largest <= float(ToleranceDB().get(backend, dtype).atol)


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.float().flatten() for tensor in tensors])


def _numpy(tensor: Tensor) -> Any:
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
