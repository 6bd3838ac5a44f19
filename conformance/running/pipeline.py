"""A case from capture to verdict. Runs in the child process; whatever the target raises is an outcome."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from time import perf_counter

from torch import Tensor

from conformance.cases.case import Case
from conformance.cases.errors import UserError
from conformance.cases.outcome import Outcome, Seconds, Stage, Status
from conformance.compare.verdict import mismatch
from conformance.defects.catalogue import known_defect
from conformance.defects.explain import explain
from conformance.defects.minimal import MinimalCases
from conformance.graphs.graph import Graph
from conformance.graphs.integrity import BAKED_IN, DROPPED, check, described
from conformance.registry import load_system
from conformance.running.detecting import detect
from conformance.running.judgement import Answers, judge
from conformance.running.subject import Judged, Subject, Trial
from conformance.systems.protocol import Model, System
from conformance.targets.protocol import (
    Compiled,
    CompileError,
    Crashed,
    FellBack,
    NotRun,
    Options,
    Target,
    Unsupported,
)

_LONGEST_DETAIL = 2000
_NCC_CODE = re.compile(r"NCC_[A-Z]{4}\d{3}")


class Progress:
    """The stage a case is in; told to the parent before the stage begins."""

    def __init__(self, tell: Callable[[Stage], None]) -> None:
        self._tell = tell
        self.stage = Stage.CAPTURE

    def enter(self, stage: Stage) -> None:
        """Begin a stage."""
        self._tell(stage)
        self.stage = stage


def run_case(
    case: Case,
    system: str,
    target: Target,
    tell: Callable[[Stage], None],
    weights: str | None = None,
    pictures: str | None = None,
) -> Outcome:
    """Compile, run, compare. `system` and `weights` are the names these are loaded by, `pictures` is a folder of the
    user's own, to count detections on."""
    progress = Progress(tell)
    progress.enter(Stage.CAPTURE)
    subject = _subject_of(case, system, weights)
    trial = subject.trial(case.layer, case.workarounds)
    options = Options(case.hardware, case.sdk, case.dtype, case.workarounds, progress.enter, settings=case.settings)
    graphs: list[Graph] = []
    try:
        start = perf_counter()
        compiled = target.compile(trial.program, replace(options, lowered=graphs.append))
        seconds = Seconds(compile=perf_counter() - start)
        if (known := trial.judged.get(id(compiled))) is not None:
            return known.outcome.model_copy(update={"same_program_as": known.case_id})
        answers, seconds = _answers(trial, target, compiled, options, seconds)
        detected = None
        if case.layer is None and not mismatch(answers.first, trial.outputs):
            detected = detect(case, system_of(case, system), subject.model, compiled, pictures)
    except UserError:  # nothing is known of what was to be tested
        raise
    except Exception as error:  # of the target's, of any kind
        failed = _failed(progress.stage, error).model_copy(update={"notes": list(subject.model.notes)})
        outcome = _explained(case, trial, target, failed)
        return _intact(case, trial, graphs, outcome) if progress.stage == Stage.RUN else outcome
    progress.enter(Stage.COMPARE)
    judged = judge(trial, answers, case.dtype).model_copy(update={"seconds": seconds, "detections": detected})
    explained = _explained(case, trial, target, _about(case, subject, judged))
    outcome = _intact(case, trial, graphs, explained)
    if target.emulated:  # it gives the same program out again for releases with the same defects
        trial.judged[id(compiled)] = Judged(compiled, case.id, outcome)
    return outcome


def _intact(case: Case, trial: Trial, graphs: list[Graph], outcome: Outcome) -> Outcome:
    """The outcome or, if a compiled graph lacks something of the source, that: however right the numbers."""
    if not case.task:  # of a minimal case it is known what is wrong
        return outcome
    findings = [finding for graph in graphs for finding in check(trial.program.source, graph)]
    if not findings:
        return outcome
    signature = DROPPED if any(finding.signature == DROPPED for finding in findings) else BAKED_IN
    detail = "; ".join(filter(None, [described(findings), outcome.detail]))[:_LONGEST_DETAIL]
    changed = {"stage": Stage.LOWER, "status": Status.WRONG, "signature": signature, "detail": detail}
    return outcome.model_copy(update=changed)


def _about(case: Case, subject: Subject, judged: Outcome) -> Outcome:
    """The outcome with what is to be known of the model: how it was built, and whether its whole can be judged at
    this dtype. Where it cannot, neither right nor wrong is a verdict."""
    judged = judged.model_copy(update={"notes": list(subject.model.notes)})
    if case.layer is not None:
        return judged
    found = subject.conditioning(sorted({case.dtype, "bfloat16"}))
    judged = judged.model_copy(update={"conditioning": found})
    here = found.get(case.dtype)
    if here is None or here.sufficient or judged.status not in (Status.PASS, Status.WRONG):
        return judged
    why = (
        f"the whole network cannot be judged in {case.dtype}: in {here.layer} another image is only "
        f"{here.ratio:.2g} times as far from the reference as rounding; the isolated layers are what counts"
    )
    return judged.model_copy(update={"status": Status.NOT_JUDGED, "detail": why})


def _explained(case: Case, trial: Trial, target: Target, outcome: Outcome) -> Outcome:
    """The outcome with the known defects that explain it."""
    if outcome.status == Status.PASS or not outcome.decided:
        return outcome
    layer = None if trial.isolated else outcome.first_bad_layer
    packages = target.packages(case.hardware, case.sdk)
    defects = explain(trial.program, packages, case.workarounds, case.hardware, case.dtype, layer, outcome.signature)
    return outcome.model_copy(update={"defects": defects})


def _answers(
    trial: Trial, target: Target, compiled: Compiled, options: Options, seconds: Seconds
) -> tuple[Answers, Seconds]:
    """What the programs give: others between the images and the same images again, or a stale output would
    be right; then the images once through the program with all layers tapped."""
    options.enter(Stage.RUN)
    first = _call(compiled, trial.inputs)
    _call(compiled, trial.others)
    start = perf_counter()
    again = _call(compiled, trial.inputs)
    run = perf_counter() - start
    tapped, tapping_failed = None, None
    if trial.tapped is not None:
        try:
            with_taps = target.compile(trial.tapped, options)
            options.enter(Stage.RUN)
            tapped = _call(with_taps, trial.inputs)
        except Exception as error:  # the taps are ours: the model itself has compiled and run
            tapping_failed = f"with all layers tapped: {type(error).__name__}: {error}"[:_LONGEST_DETAIL]
    return Answers(first, again, tapped, tapping_failed), seconds.model_copy(update={"run": run})


def _call(compiled: Compiled, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Call with copies, and keep copies: a program may write into what it is given, or give its own buffer."""
    return tuple(output.detach().clone() for output in compiled(*(x.clone() for x in inputs)))


def _failed(stage: Stage, error: Exception) -> Outcome:
    """The outcome of a target that raised. A compiler's own code is the signature, if it names one."""
    text = str(error)
    if isinstance(error, NotRun):
        return Outcome(stage=Stage.COMPILE, status=Status.NOT_RUN, detail=text)
    if isinstance(error, FellBack):
        detail = f"computed on the CPU instead: {text}"[:_LONGEST_DETAIL]
        return Outcome(stage=Stage.RUN, status=Status.FALLBACK, detail=detail)
    if isinstance(error, Unsupported):
        return Outcome(stage=stage, status=Status.UNSUPPORTED, detail=error.detail)
    if isinstance(error, Crashed):
        return Outcome(stage=stage, status=Status.CRASH, signature=error.signature, detail=error.detail or None)
    if isinstance(error, CompileError):
        signature, text = error.signature, error.detail
    else:
        code = _NCC_CODE.search(text)
        signature = code[0] if code else type(error).__name__
    return Outcome(
        stage=stage, status=Status.ERROR, signature=signature, detail=text.strip()[:_LONGEST_DETAIL] or None
    )


def system_of(case: Case, name: str) -> System:
    """The system of a case; a case without a task is a minimal case of a defect."""
    return load_system(name) if case.task else MinimalCases(known_defect(case.system))


def _subject_of(case: Case, system: str, weights: str | None) -> Subject:
    """The subject of a case; the last one is kept, for the next target or workaround."""
    whoever = replace(case, target="", hardware="", sdk=None, workarounds=(), settings=(), layer=None)
    return _subject(whoever, system, weights)


@lru_cache(maxsize=1)
def _subject(case: Case, system: str, weights: str | None) -> Subject:
    model = _model(replace(case, batch=0, height=None, width=None, dtype=""), system, weights)
    return Subject(system_of(case, system), model, case)


@lru_cache(maxsize=2)
def _model(case: Case, system: str, weights: str | None) -> Model:
    given = [weights] if weights else []  # a system that takes none has no such argument
    return system_of(case, system).build(case.variant, case.task, *given)
