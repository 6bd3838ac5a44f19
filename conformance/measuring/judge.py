"""Whether what a target gives for a sample is right: to the bit where nothing is computed, else as exact as eager
PyTorch is, at these inputs and beside them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from conformance.compare.limits import limit
from conformance.compare.metrics import by_image, rel_l2, rel_peak
from conformance.operators.results import Sampled, State
from conformance.operators.samples import Sample

_MEASURES = (rel_l2, rel_peak)
_NUDGES = 2  # runs of eager with inputs that are off by one unit in the last place
_TELLABLE = 1e-2  # eager's own relative error above which right and wrong cannot be told apart
_PER_ERROR = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}

Outputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Wanted:
    """What an output should be: what eager gives, the exact value, and the errors that are excused, by measure; none
    are of an output that is `exact`. `border`: other values next to the inputs give another answer."""

    eager: Tensor
    reference: Tensor
    noise: tuple[float, ...] = ()
    exact: bool = False
    border: bool = False

    @property
    def tellable(self) -> bool:
        """Whether right and wrong can be told apart."""
        return not self.border and all(noise < _TELLABLE for noise in self.noise)


def wanted(sample: Sample, inputs: Outputs) -> list[Wanted]:
    """What should come of these inputs."""
    module = sample.first or sample.module
    eager = exact = _run(module, inputs)
    with suppress(Exception):  # of what has no kernel for float64: eager is the reference then
        found = _run(copy.deepcopy(module).double(), tuple(_doubled(x) for x in inputs))
        if [x.shape for x in found] == [x.shape for x in eager]:
            exact = found
    nudged = [_run(module, tuple(_nudged(x, seed) for x in inputs)) for seed in range(_NUDGES)]
    known = _values([*inputs, *module.buffers()], getattr(module, "numbers", ()))
    return [
        _wanted(one, reference, [run[place] for run in nudged], known)
        for place, (one, reference) in enumerate(zip(eager, exact, strict=True))
    ]


def _wanted(eager: Tensor, exact: Tensor, nudged: Sequence[Tensor], known: Tensor) -> Wanted:
    if not _computed(eager):
        same = _same(eager, exact.to(eager.dtype)) and all(_same(eager, one) for one in nudged)
        return Wanted(eager, eager, exact=True, border=not same)
    if not eager.is_complex() and bool(torch.isin(eager[~eager.isnan()].double(), known).all()):
        return Wanted(eager, eager, exact=True)
    reference = exact.to(eager.dtype) if _overflows(exact, eager) else exact
    noise = [_errors(one, reference) for one in (eager, *nudged) if one.shape == eager.shape]
    return Wanted(eager, reference, tuple(map(max, zip(*noise, strict=True))))


def judged(
    sample: Sample, given: Outputs, other: Outputs, want: Sequence[Wanted], next_: Sequence[Wanted]
) -> Sampled:
    """What came of a sample, of its inputs and of others."""
    fault = mismatch(given, want) or mismatch(other, next_)
    pairs = [] if fault else [*zip(given, want, strict=True), *zip(other, next_, strict=True)]
    told = [(y, one) for y, one in pairs if one.tellable]
    if not fault and not told:
        return Sampled(sample=sample.name, state=State.UNDECIDED, text=sample.text)
    ratios = [_ratio(y, one) for y, one in told]
    worst = max(ratios, default=torch.inf)
    if worst <= 1:
        return _figured(Sampled(sample=sample.name, state=State.RIGHT, text=sample.text, ratio=_three(worst)), told)
    if fault is None:
        y, one = told[ratios.index(worst)]
        fault = _difference(y, one.eager)
    state = State.FROZEN if _is_right(given, next_) else State.WRONG
    found = Sampled(sample=sample.name, state=state, text=sample.text, detail=fault)
    return _figured(found.model_copy(update={"ratio": None if worst == torch.inf else _three(worst)}), told)


def _figured(found: Sampled, told: Sequence[tuple[Tensor, Wanted]]) -> Sampled:
    """With its errors in units of the last place."""
    floats = [(y, one) for y, one in told if not one.exact]
    return found.model_copy(
        update={
            "exact": bool(told) and not floats,
            "ulp": max((_ulps(y, one.reference, one.eager.dtype) for y, one in floats), default=None),
            "eager": max((_ulps(one.eager, one.reference, one.eager.dtype) for _, one in floats), default=None),
        }
    )


def _is_right(given: Outputs, want: Sequence[Wanted]) -> bool:
    return mismatch(given, want) is None and all(_ratio(y, one) <= 1 for y, one in zip(given, want, strict=True))


def _three(value: float) -> float:
    return float(f"{value:.3g}")


def mismatch(given: Outputs, want: Sequence[Wanted]) -> str | None:
    """How outputs differ in number or shape."""
    if len(given) != len(want):
        return f"{len(given)} outputs instead of {len(want)}"
    for y, one in zip(given, want, strict=True):
        if y.shape != one.eager.shape:
            return f"of shape {tuple(y.shape)} instead of {tuple(one.eager.shape)}"
    return None


def _ratio(given: Tensor, want: Wanted) -> float:
    """The error by what is excused: above 1 it is wrong."""
    if want.exact:
        return 0.0 if _same(given, want.eager) else torch.inf
    if not _finite_alike(given, want):
        return torch.inf
    dtype = _PER_ERROR.get(want.eager.dtype, "float32")
    allowed = limit(dtype)
    errors = _errors(given, want.reference)
    return max(
        error / (allowed.isolated * max(noise, allowed.floor))
        for error, noise in zip(errors, want.noise, strict=True)
    )


def _finite_alike(given: Tensor, want: Wanted) -> bool:
    """Whether what is not finite is so in the reference or in what eager gives."""
    given, eager, reference = (_real(x) for x in (given, want.eager, want.reference))
    odd = ~(given.isfinite() & reference.isfinite())
    return bool((_alike(given, eager) | _alike(given, reference))[odd].all())


def _errors(given: Tensor, reference: Tensor) -> tuple[float, ...]:
    """By each measure, over what is finite in both."""
    one, other = (by_image([x], 1) for x in (given, reference))
    finite = one.isfinite() & other.isfinite()
    one, other = one.where(finite, 0), other.where(finite, 0)
    return tuple(float(measure(one, other)) for measure in _MEASURES)


def _ulps(given: Tensor, reference: Tensor, dtype: torch.dtype) -> float:
    """The largest error in units of the last place of a dtype at the exact value."""
    given, reference = _real(given).double(), _real(reference).double()
    info = torch.finfo(dtype)
    units = (
        torch.frexp(reference)
        .exponent.double()
        .sub(1)
        .exp2()
        .mul(info.eps)
        .clamp(min=info.smallest_normal * info.eps)
    )
    error = ((given - reference).abs() / units)[given.isfinite() & reference.isfinite()]
    return _three(float(error.max())) if error.numel() else 0.0


def _run(module: nn.Module, inputs: Outputs) -> Outputs:
    with torch.no_grad():
        return tuple(y.detach().clone() for y in module(*(x.clone() for x in inputs)))


def _doubled(x: Tensor) -> Tensor:
    if x.is_complex():
        return x.to(torch.complex128)
    return x.double() if x.is_floating_point() else x


def _nudged(x: Tensor, seed: int) -> Tensor:
    """With each value moved to one next to it."""
    if not x.is_floating_point():
        return x
    up = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.nextafter(x, torch.where(up, torch.inf, -torch.inf).to(x.dtype))


def _values(tensors: Iterable[Tensor], numbers: Sequence[float]) -> Tensor:
    """All that occur in these, with either sign, and what is no computed number: 0, 1, infinity."""
    plain = torch.tensor([0.0, 1.0, torch.inf, *numbers], dtype=torch.float64)
    found = torch.cat([*(_real(x).flatten().double() for x in tensors), plain])
    return torch.cat([found, -found])


def _real(x: Tensor) -> Tensor:
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x


def _computed(x: Tensor) -> bool:
    return x.is_floating_point() or x.is_complex()


def _overflows(exact: Tensor, eager: Tensor) -> bool:
    return bool((~_real(eager).isfinite()).any()) and eager.dtype in _PER_ERROR and not exact.is_complex()


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    return bool(_alike(_real(one), _real(other)).all())


def _alike(one: Tensor, other: Tensor) -> Tensor:
    return (one == other) | (one.isnan() & other.isnan())


def _difference(given: Tensor, eager: Tensor) -> str:
    """Both from the first place on where they differ as much as anywhere."""
    one, other = (_real(x).flatten().double() for x in (given, eager))
    first = int((one - other).abs().nan_to_num(torch.inf).masked_fill(_alike(one, other), 0).argmax())
    place = f", from value {first} on" if first else ""
    return f"got {_few(one[first:])} instead of {_few(other[first:])}{place}"


def _few(x: Tensor) -> str:
    return str([float(f"{value:.7g}") for value in x[:6].tolist()])
