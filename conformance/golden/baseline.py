"""How far equally valid CPU runs at a case's own dtype are from the reference: the error that is allowed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from conformance.compare.metrics import MEASURES, OF_WHOLE, rel_l2
from conformance.core.errors import ModelError, first_line
from conformance.golden.promoting import promoting
from conformance.golden.reference import cast
from conformance.golden.summing import Sums
from conformance.programs.autocast import auto_cast

Run = Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]
Parts = Callable[[tuple[Tensor, ...]], Mapping[str, Tensor]]


def _plain(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return module(*inputs)  # type: ignore[no-any-return]


def _without_onednn(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with torch.backends.mkldnn.flags(enabled=False):
        return _plain(module, inputs)


def _other_threads(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with _threads(2 if torch.get_num_threads() == 1 else 1):
        return _plain(module, inputs)


def _one_by_one(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with Sums(one_by_one=True):
        return _plain(module, inputs)


def _image_by_image(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    batch = inputs[0].shape[0]
    if any(x.shape[:1] != (batch,) for x in inputs):
        return _plain(module, inputs)
    runs = [_plain(module, tuple(x[i : i + 1].clone() for x in inputs)) for i in range(batch)]
    return tuple(torch.cat(parts) if parts[0].dim() else parts[0] for parts in zip(*runs, strict=True))


def _channels_last(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    module = copy.deepcopy(module)
    for held in (*module.parameters(), *module.buffers()):
        held.data = as_channels_last(held.data)
    return _plain(module, tuple(map(as_channels_last, inputs)))


def as_channels_last(x: Tensor) -> Tensor:
    """An image's channels last in memory; whatever is no image stays as it is."""
    return x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x


RUNS: dict[str, Run] = {
    "plain": _plain,
    "without oneDNN": _without_onednn,
    "other thread count": _other_threads,
    "sums one by one": _one_by_one,
    "image by image": _image_by_image,
    "channels last": _channels_last,
}
# Valid where images do not depend on each other, and where nothing depends on how values lie in memory.
_CONDITIONAL = ("image by image", "channels last")
UNCONDITIONAL = len(RUNS) - len(_CONDITIONAL)  # the first ones, valid everywhere
_SUSPECT = 10  # times as far from the reference as the plain run: whether it is valid is looked at then
_EQUAL = 1e-6  # how far valid runs may be apart in float64


def allowed_error(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    reference: Mapping[str, Tensor],
    parts: Parts,
    dtype: str = "float32",
    measures: Sequence[str] = OF_WHOLE,
) -> dict[str, dict[str, list[float]]]:
    """Per named part, measure and image, the largest error of the equally valid runs at a dtype of a case.

    Module and inputs are already of the dtype that is stored. `parts` names the parts of the module's outputs, each
    (batch, values); `reference` holds the same in float64. Raises ModelError where the CPU cannot run it.
    """
    runs = ((name, parts(outputs)) for name, outputs in baseline_runs(module, inputs, dtype))
    return largest_errors(_valid(runs, module, inputs, reference, parts), reference, measures)


def _valid(
    runs: Iterable[tuple[str, Mapping[str, Tensor]]],
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    reference: Mapping[str, Tensor],
    parts: Parts,
) -> Iterator[Mapping[str, Tensor]]:
    """Those that compute the same as the plain one, which comes first."""
    plain: dict[str, Tensor] = {}
    for name, found in runs:
        errors = {part: rel_l2(values, reference[part]) for part, values in found.items()}
        plain = plain or errors
        suspect = any(bool((error > _SUSPECT * plain[part]).any()) for part, error in errors.items())
        if not (suspect and name in _CONDITIONAL) or _agrees(RUNS[name], module, inputs, parts):
            yield found


@torch.no_grad()
def _agrees(run: Run, module: nn.Module, inputs: tuple[Tensor, ...], parts: Parts) -> bool:
    """Whether a run gives in float64 what the plain one does."""
    exact = copy.deepcopy(module).double()
    with promoting():
        given, wanted = (
            parts(one(exact, tuple(cast(x, torch.float64).clone() for x in inputs))) for one in (run, _plain)
        )
    return all(bool((rel_l2(given[part], wanted[part]) <= _EQUAL).all()) for part in wanted)


def largest_errors(
    runs: Iterable[Mapping[str, Tensor]], reference: Mapping[str, Tensor], measures: Sequence[str]
) -> dict[str, dict[str, list[float]]]:
    """Per named part, measure and image, the largest error of the runs, which are looked at one after another.

    Runs that round alike have one gain, by luck next to none: what rounds independently, with errors as large in the
    L2 norm, is expected to have one of L2 / sqrt(roundings), and is allowed that.
    """
    worst: dict[str, Tensor] = {}
    for run in runs:
        for name, values in run.items():
            errors = torch.stack([MEASURES[measure](values, reference[name]) for measure in measures])
            worst[name] = errors.maximum(worst.get(name, errors))
    if "gain" in measures:
        l2, gain = measures.index("L2"), measures.index("gain")
        for name, errors in worst.items():
            errors[gain] = errors[gain].maximum(errors[l2] / _roundings(reference[name]).sqrt())
    return {name: dict(zip(measures, errors.tolist(), strict=True)) for name, errors in worst.items()}


def _roundings(reference: Tensor) -> Tensor:
    """How many values of each row, (images, values), are rounded by themselves. What is equal to the value before it,
    as all that is broadcast or upsampled from one pixel is, was rounded once."""
    rows = reference.float()
    return 1 + (rows[:, 1:] != rows[:, :-1]).sum(dim=1)


@torch.no_grad()
def baseline_runs(
    module: nn.Module, inputs: tuple[Tensor, ...], dtype: str = "float32"
) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    """The name and the outputs of each run, the plain one first. One that would be the plain one again is left out,
    and one that the model does not take, as one that is written for its batch takes no single image. Raises
    ModelError where the plain one fails."""
    plain: tuple[Tensor, ...] = ()
    sums = Sums(one_by_one=False)
    for name, run in RUNS.items():
        if run is _one_by_one and not sums.met:
            continue
        try:
            with auto_cast(dtype), nullcontext() if plain else sums:
                outputs = run(module, tuple(x.clone() for x in inputs))
        except Exception as error:  # the model's own
            if not plain:
                raise ModelError(f"the CPU cannot run it in {dtype}: {first_line(error)}; ask for another") from error
            continue
        plain = plain or outputs
        if len(outputs) == len(plain):  # what is not batch first is not put together again image by image
            yield name, tuple(one if one.shape == own.shape else own for one, own in zip(outputs, plain, strict=True))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
