"""The engine of `conformance localize`: one case that is not right, and what is to blame for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from conformance.cases.case import Subject
from conformance.cases.outcome import Check, Outcome
from conformance.cases.span import Operator, Span
from conformance.checking.check import Tell, nobody
from conformance.core.errors import UserError
from conformance.localize.answer import Answer, Rate, evidence, places, rate
from conformance.localize.oracle import NUMBERS, Oracle, calls_for, verdict
from conformance.localize.search import Found, Kind, Search, Verdict
from conformance.running.child import Job
from conformance.running.worker import Worker

CALLS = 8  # of what is asked first: enough to see what fails in every second call
AGAIN = 3  # times that what is right at first is compiled and called again


def localize(job: Job, worker: Worker, whole: Outcome, tell: Tell = nobody, borders: bool = True) -> Answer:
    """What is to blame for what came of a case and, where the `borders` are asked for, from which batch and size on.
    Raises UserError for a case that passed, or of which there is no graph."""
    if not whole.failed or whole.models_own:
        raise UserError(f"{job.case.id} has not failed on its target: there is nothing to be found")
    start = perf_counter()
    oracle = Oracle(job, worker, whole, tell)
    operators = oracle.operators()
    found, how_often = _found(oracle, operators, whole)
    bordered = borders and found.kind in (Kind.OPERATOR, Kind.SPAN)
    from_batch = _from_batch(oracle, found) if bordered else None
    from_size = _from_size(oracle, operators, found) if bordered else None
    trials = list(oracle.trials.values())
    boundary = None if found.boundary is None else places(operators, [[found.boundary]])[0][0]
    return Answer(
        case=job.case.id,
        kind=found.kind,
        places=places(operators, found.places),
        boundary=boundary,
        note=found.note,
        images=whole.bad_images,
        groups=tuple(name for name, group in whole.groups.items() if group.bad),
        from_batch=from_batch,
        from_size=from_size,
        defects=_defects(oracle, found) or tuple(whole.defects),
        rate=how_often,
        operators=len(operators),
        compiles=oracle.compiles,
        seconds=perf_counter() - start,
        evidence=evidence(trials),
    )


def _found(oracle: Oracle, operators: Sequence[Operator], whole: Outcome) -> tuple[Found, Rate | None]:
    """What is to blame and, where it does not fail each time, how often it does."""
    hint = of_layer(operators, whole.first_bad_layer)
    oracle.calls = CALLS
    first = oracle.tried(Span(tuple(hint or range(len(operators)))))
    if hint and first.verdict is not Verdict.WRONG:
        first = oracle.tried(Span(tuple(range(len(operators)))))
    if first.verdict is not Verdict.WRONG:
        inside = _inside(oracle, operators, hint)
        return _elsewhere(oracle, first.outcome) if inside is None else (inside, None)
    how_often = _rate([first.outcome])
    if how_often is not None:
        oracle.calls = calls_for(how_often.low)
    search = Search(operators, oracle.ask, oracle.first_wrong)
    found = search.run(hint)
    if how_often is None:
        return found, None
    return replace(found, kind=Kind.INTERMITTENT, note=found.note or f"found as {found.kind.value}"), how_often


def _inside(oracle: Oracle, operators: Sequence[Operator], layer: Sequence[int]) -> Found | None:
    """Of a model that gives what it should: the operator of a layer whose value is the first that is wrong within."""
    span = Span(tuple(range(len(operators))), shown=tuple(layer))
    if not layer or oracle.whole.outputs_bad or oracle.ask(span) is not Verdict.WRONG:
        return None
    first = oracle.first_wrong(span)
    note = "what the model gives is right: it shows in the values of its layers alone"
    return Found(Kind.CONTEXT, () if first is None else ((first,),), note=note)


def _elsewhere(oracle: Oracle, as_graph: Outcome) -> tuple[Found, Rate | None]:
    """Of a model whose graph is right: is the model itself, once more?"""
    outcomes = [oracle.run(None) for _ in range(AGAIN)]
    oracle.compiles += AGAIN
    wrong = [one for one in outcomes if verdict(one, oracle.whole) is Verdict.WRONG]
    if len(wrong) == AGAIN and (how_often := _rate(wrong)) is None:
        captured = "it is right when it is compiled from what torch.export captures of it, and wrong as it is"
        return Found(Kind.CONTEXT, note=captured), None
    how_often = _rate([*outcomes, as_graph]) or _of_compiles(outcomes, oracle.whole)
    if how_often is None:
        return Found(Kind.NOT_REPRODUCED, note=f"in {AGAIN} compiles of {CALLS} calls each"), None
    return Found(Kind.INTERMITTENT), how_often


def _rate(outcomes: Sequence[Outcome]) -> Rate | None:
    """How often calls with the same images fail, where some do and some do not."""
    failed = total = 0
    for outcome in outcomes:
        for parity in (0, 1):
            calls = [check for check in outcome.checks if check.call is not None and check.call % 2 == parity]
            bad = sum(map(_is_wrong, calls))
            if 0 < bad < len(calls):
                failed, total = failed + bad, total + len(calls)
    return rate(failed, total) if failed else None


def _of_compiles(outcomes: Sequence[Outcome], whole: Outcome) -> Rate | None:
    """How often a compiled program fails, the one that was there at first among them."""
    wrong = sum(verdict(outcome, whole) is Verdict.WRONG for outcome in outcomes)
    return rate(wrong + 1, len(outcomes) + 1) if wrong else None


def _is_wrong(check: Check) -> bool:
    return check.status in NUMBERS


def of_layer(operators: Sequence[Operator], path: str | None) -> list[int]:
    """The operators of a layer, and those between them."""
    if not path:
        return []
    inside = [one.number for one in operators if one.module == path or one.module.startswith(f"{path}.")]
    return list(range(inside[0], inside[-1] + 1)) if inside else []


def _from_batch(oracle: Oracle, found: Found) -> int | None:
    """The smallest batch at which the first place is wrong, of 1, 2, 4 and so on."""
    subject = oracle.job.case.subject
    if not subject.task or subject.height is None:
        return None
    batch = 1
    while batch < subject.batch and not _is_wrong_at(oracle, found, replace(subject, batch=batch)):
        batch *= 2
    return min(batch, subject.batch)


def _from_size(oracle: Oracle, operators: Sequence[Operator], found: Found) -> str | None:
    """The smallest size at which the first place is wrong, of its own, half of it and so on, as long as the model is
    of the same operators."""
    subject = oracle.job.case.subject
    if not subject.task or subject.height is None or subject.width is None:
        return None
    smaller = subject
    while smaller.height and smaller.width and not smaller.height % 2 and not smaller.width % 2:
        smaller = replace(smaller, height=smaller.height // 2, width=smaller.width // 2)
        if not oracle.is_same_graph(smaller, operators) or not _is_wrong_at(oracle, found, smaller):
            break
        subject = smaller
    return subject.resolution


def _is_wrong_at(oracle: Oracle, found: Found, subject: Subject) -> bool:
    oracle.compiles += 1
    return verdict(oracle.run(str(Span(found.places[0])), subject), oracle.whole) is Verdict.WRONG


def _defects(oracle: Oracle, found: Found) -> tuple[str, ...]:
    """The known defects that explain the places."""
    tried = (oracle.trials.get(Span(place)) for place in found.places)
    return tuple(dict.fromkeys(name for trial in tried if trial for name in trial.outcome.defects))
