"""Samples of an operator through a target: compiled once with one set of inputs, run on another and on both."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from conformance.measuring.ask import TOGETHER, Answer, Ask, sampled
from conformance.measuring.judge import Wanted, judged, wanted
from conformance.measuring.programs import programs, sample
from conformance.measuring.rewrites import rewrites, spelled
from conformance.operators.parts import written_down
from conformance.operators.results import Sampled, State
from conformance.operators.samples import Sample, Together, made
from conformance.programs.program import Program
from conformance.running.device import Device, TargetFailed
from conformance.targets.loading import load_target

Outputs = tuple[Tensor, ...]


def answer(ask: Ask) -> Answer:
    """What came of the samples."""
    warnings.simplefilter("ignore")
    found = [one for one in _samples(ask) if ask.sample in (None, one.name)]
    known: dict[str, tuple[list[Wanted], list[Wanted]]] = {}
    samples, skipped = [], []
    for one in found:
        try:
            known[one.name] = wanted(one, one.inputs), wanted(one, one.others)
        except Exception as error:  # noqa: BLE001 (the operator's own, as of a form that it does not go with)
            if one.name.isdigit():
                skipped.append(
                    Sampled(sample=one.name, state=State.UNDECIDED, text=one.text, detail=f"eager: {error}")
                )
        else:
            samples.append(one)
    aten, random = _aten(samples)
    if random or not samples:
        return Answer(samples=skipped)
    try:
        given, other = _through(ask, samples)
    except TargetFailed as failed:
        results = [sampled(one.name, one.text, failed.outcome) for one in samples]
    else:
        results = _judged(samples, known, given, other)
    bad = [one for one in results if one.state not in (State.RIGHT, State.UNDECIDED)]
    if bad and len(samples) > 1:
        whole = bad[0].model_copy(update={"sample": TOGETHER})
        return Answer(samples=skipped, apart=[one.name for one in samples], whole=whole, aten=aten)
    return Answer(samples=[*skipped, *results], aten=aten)


def outlined(ask: Ask) -> Answer:
    """The samples, and what they are made of, without the target."""
    samples = _samples(ask)
    return Answer(apart=[one.name for one in samples], aten=_aten(samples)[0])


def _samples(ask: Ask) -> Sequence[Sample]:
    """Torch's of an operator, that of a program that models have, or the spellings of a computation, in float32."""
    if ask.operator not in programs() and ask.operator not in rewrites():
        return made(ask.operator, ask.dtype)
    if ask.dtype != "float32":
        return []
    return spelled(ask.operator) if ask.operator in rewrites() else [sample(programs()[ask.operator])]


def _through(ask: Ask, samples: Sequence[Sample]) -> tuple[Outputs, Outputs]:
    """What the target gives for the inputs of all, and for the others, with which it was traced."""
    module = samples[0].module if len(samples) == 1 else Together(samples)
    inputs, others = (tuple(x for one in samples for x in getattr(one, name)) for name in ("inputs", "others"))
    device = Device(load_target(ask.target), ask.case, lambda stage: None)
    compiled = device.compile(Program(module, others))
    return device.call(compiled, inputs), device.call(compiled, others)


def _judged(
    samples: Sequence[Sample], known: dict[str, tuple[list[Wanted], list[Wanted]]], given: Outputs, other: Outputs
) -> list[Sampled]:
    """Each with its part of the outputs; of outputs that are not as many as they should be, all are wrong."""
    count = sum(len(known[one.name][0]) for one in samples)
    if len(given) != count:
        said = f"{len(given)} outputs instead of {count}"
        return [Sampled(sample=one.name, state=State.WRONG, text=one.text, detail=said) for one in samples]
    results, start = [], 0
    for one in samples:
        want, next_ = known[one.name]
        part = slice(start, start + len(want))
        results.append(judged(one, given[part], other[part], want, next_))
        start = part.stop
    return results


def _aten(samples: Sequence[Sample]) -> tuple[list[str], bool]:
    """The operators that they are made of, as devices are handed them, and whether one draws random numbers."""
    found: dict[str, Any] = {}
    for one in samples:
        if one.name.isdigit() or one.first:  # another form has a transposition of ours in it
            inputs = [x.clone() for x in one.inputs]
            with torch.no_grad(), written_down(lambda func, args, kwargs: found.setdefault(func.name(), func)):
                one.module(*inputs)
    return list(found), any(torch.Tag.nondeterministic_seeded in func.tags for func in found.values())
