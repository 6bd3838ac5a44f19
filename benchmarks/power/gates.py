"""The gates, side by side. Each sees what it would see in its own project; ours sees what the product's own run sees.

The others are shown the outputs of the first call, and as the reference the CPU's own run at the same dtype, which is
what they are used with. Where a library is at hand it is called; where only a rule is published, the rule is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from benchmarks.power import libraries
from benchmarks.power.findings import COSINE
from conformance.cases.outcome import Aspect, GroupFigures, LayerFigures, Outcome, Status
from conformance.compare.verdict import published_gate
from conformance.core.requirements import missing_packages
from conformance.running.comparison import Comparison
from conformance.running.judgement import RunOutputs, judge

PCC = 0.99
_RIGHT = (Status.PASS, Status.NOT_JUDGED)  # what our gate lets pass: of the latter the layers alone are what counts


@dataclass(frozen=True, eq=False)
class Given:
    """What there is to see of a program: its answers, what they should be (`comparison`), the CPU's run at its dtype.
    `alone` judges its layers that are compiled alone; `unsure` is why the whole cannot be judged at this dtype."""

    comparison: Comparison
    answers: RunOutputs
    baseline: tuple[Tensor, ...]
    dtype: str
    alone: Callable[[], Sequence[Outcome]] = tuple
    unsure: str | None = None

    @cached_property
    def outcome(self) -> Outcome:
        """The product's own verdict."""
        return judge(self.comparison, self.answers, self.dtype, self.unsure)

    @property
    def first(self) -> tuple[Tensor, ...]:
        """The outputs of the first call."""
        return self.answers.calls[0]

    @cached_property
    def layers_alone(self) -> Sequence[Outcome]:
        """The product's own verdicts on the layers that are compiled alone."""
        return self.alone()

    @property
    def ratio(self) -> float:
        """The largest error ratio of any group, layer in place and image."""
        return _largest([self.outcome])

    @property
    def ratio_alone(self) -> float:
        """The largest of any layer that is compiled alone; 0 without one."""
        return _largest(self.layers_alone)


def _largest(outcomes: Sequence[Outcome]) -> float:
    """NaN is the largest."""
    figures: list[GroupFigures | LayerFigures] = []
    for one in outcomes:
        figures += [*one.groups.values(), *one.layers]
    ratios = [part.noise_ratio for part in figures]
    return float(torch.tensor([0.0, *ratios], dtype=torch.float64).max())


@dataclass(frozen=True)
class Gate:
    """A gate: its rule in a line, where the rule is from, and whether it lets a program pass."""

    name: str
    rule: str
    source: str
    passes: Callable[[Given], bool]
    package: str | None = None

    def missing(self) -> str | None:
        """Why it cannot be measured here; None where it can."""
        return missing_packages({self.package: "power"}, self.name) if self.package else None


def _ours(given: Given) -> bool:
    return _whole(given) and all(layer.status == Status.PASS for layer in given.layers_alone)


def _whole(given: Given) -> bool:
    return not given.outcome.failed


def _outputs_only(given: Given) -> bool:
    return all(check.status in _RIGHT for check in given.outcome.checks if check.of is Aspect.MODEL)


def _cosine(given: Given) -> bool:
    return published_gate(given.first, given.baseline).passes


def _pcc(given: Given) -> bool:
    if all(_allclose(pair) for pair in zip(given.first, given.baseline, strict=True)):
        return True  # as theirs: nearly equal tensors have no sound correlation
    return all(_correlation(*pair) >= PCC for pair in zip(given.first, given.baseline, strict=True))


def _correlation(answer: Tensor, reference: Tensor) -> float:
    x, y = (side.float().flatten() - side.float().mean() for side in (answer, reference))
    size = x.norm() * y.norm()
    return float(x @ y / size) if size != 0 else float("nan")


def _allclose(pair: tuple[Tensor, Tensor]) -> bool:
    answer, reference = pair
    return torch.allclose(answer.float(), reference.float(), rtol=1e-2, atol=1e-2)


def _assert_close(given: Given) -> bool:
    try:
        torch.testing.assert_close(given.first, given.baseline)
    except AssertionError:
        return False
    return True


GATES = (
    Gate(
        "ours",
        "error ratio of every group, layer in place, layer compiled alone and image, at every call",
        "this suite",
        _ours,
    ),
    Gate("ours, whole model", "the same without the layers compiled alone", "this suite", _whole),
    Gate("ours, outputs only", "the same without any layer", "this suite", _outputs_only),
    Gate(COSINE, "cosine of the whole output >= 0.98", "tests of the published YOLO26 port", _cosine),
    Gate(
        "PCC",
        "Pearson correlation of each output >= 0.99, or allclose at 1e-2",
        "tt-xla, tests/infra/evaluators/torch_comparison_evaluator.py, defaults of evaluation_config.py",
        _pcc,
    ),
    Gate(
        "Polygraphy",
        "SimpleCompareFunc() as it comes: every element within 1e-5 absolute or relative",
        "polygraphy, called",
        lambda given: libraries.polygraphy(given.first, given.baseline),
        "polygraphy",
    ),
    Gate("assert_close", "defaults of the dtype", "torch.testing.assert_close, called", _assert_close),
    Gate(
        "allclose 1e-2",
        "rtol = atol = 1e-2",
        "torch.allclose, called",
        lambda given: all(_allclose(pair) for pair in zip(given.first, given.baseline, strict=True)),
    ),
    Gate(
        "fp64 RMSE",
        "allclose at 1e-4, or RMSE to float64 at most twice that of the CPU's own run and 1e-5",
        "torch._dynamo.utils.same, called as benchmarks/dynamo/torchbench.py does for inference",
        lambda given: libraries.dynamo_same(
            given.first, given.baseline, given.comparison.compared.reference[: given.comparison.output_count]
        ),
    ),
    Gate(
        "TorchBridge cpu",
        "largest difference <= 1e-6 and cosine >= 0.999",
        "torchbridge-ml, CrossBackendTestSuite called",
        lambda given: libraries.torchbridge_suite(given.first, given.baseline),
        "torchbridge",
    ),
    Gate(
        "TorchBridge trainium",
        "largest difference <= the atol of its table for trainium (1e-4 in float32)",
        "torchbridge-ml, table called; the rule is that of tb-validate --compare, which needs the device",
        lambda given: libraries.torchbridge_table(given.first, given.baseline, given.dtype, "trainium"),
        "torchbridge",
    ),
)
OURS, WHOLE, OUTPUTS_ONLY = (gate.name for gate in GATES[:3])


def measured() -> tuple[Gate, ...]:
    """The gates whose packages are here."""
    return tuple(gate for gate in GATES if gate.missing() is None)


def flagged(given: Given) -> tuple[str, ...]:
    """The names of the gates that do not let it pass."""
    return tuple(gate.name for gate in measured() if not gate.passes(given))
