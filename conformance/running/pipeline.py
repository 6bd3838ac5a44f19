"""A case from capture to verdict. Runs in the child process; whatever goes wrong is an outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from conformance.cases.case import FORWARD, Case, Subject
from conformance.cases.options import CALLS
from conformance.cases.outcome import (
    MODEL,
    Aspect,
    Check,
    DetectionFigures,
    Outcome,
    Stage,
    Status,
    suite_error,
)
from conformance.cases.span import Operator, Span, is_span, parse_span
from conformance.compare.verdict import mismatch
from conformance.core.errors import ModelError, UserError
from conformance.defects.catalogue import known_defect
from conformance.defects.minimal import MinimalCases
from conformance.golden.spans import Cut
from conformance.graphs.hlo_difference import difference
from conformance.programs.workarounds import in_program
from conformance.running.cause import with_cause
from conformance.running.comparison import Comparison, Judged, ReferenceModel, of_its_own
from conformance.running.detecting import detect
from conformance.running.device import Device, Inputs, TargetFailed
from conformance.running.judgement import RunOutputs, judge, judge_detections, with_verdict
from conformance.running.spans import of_span, operators_of
from conformance.running.surroundings import Surroundings, changes_text
from conformance.systems.loading import load_system
from conformance.systems.protocol import Model, System
from conformance.targets.protocol import Compiled, Target
from conformance.targets.xla import hlo_text, text_of


def run_case(
    case: Case,
    system: str,
    target: Target,
    tell: Callable[[Stage], None],
    weights: str | None = None,
    pictures: str | None = None,
    calls: int = CALLS,
    keep: Callable[[Outcome], None] = lambda outcome: None,
    spoilt: Callable[[], None] = lambda: None,
) -> Outcome:
    """Compile, run, compare. Whatever goes wrong is an outcome: of the target, of the model, or of the suite itself.

    `system` and `weights` are the names these are loaded by, `pictures` is a folder of the user's own, to count
    detections on; the program is called `calls` times. `tell` is told every stage before it begins, and `keep` is
    given the outcome as far as it is known before what may yet end the process; `spoilt` is called where the target
    has changed what other cases share. Raises UserError where nothing is known of what was to be tested.
    """
    device = Device(target, case, tell)
    device.enter(Stage.CAPTURE)
    try:
        reference_model = _reference_model(case.subject, system, weights)
        comparison = _comparison(reference_model, case)
        if comparison.flaw:
            return Outcome(
                stage=Stage.CAPTURE,
                status=Status.NONFINITE,
                signature=comparison.flaw,
                detail="its outputs are not finite on the CPU, so that no answer can be right: give it other inputs, "
                "or other weights",
                notes=reference_model.notes,
            )
        if case.subject.task == FORWARD and case.layer is None and comparison.same_for_all:
            raise ModelError(
                "its outputs are the same for other images, so that a constant would be right: give it weights, or "
                "inputs, by which they differ"
            )
        around = Surroundings()
        outcome = _Run(case, reference_model, comparison, device).outcome_of(system, pictures, calls, keep)
        if changes := [*reference_model.changed(), *around.changed()]:
            spoilt()
            _reference_model.cache_clear()
            _model.cache_clear()
            note = (
                f"{target.name} has changed {changes_text(changes)}: its process is ended, and no other case meets it"
            )
            outcome = outcome.model_copy(update={"notes": [*outcome.notes, note]})
        return outcome
    except UserError:
        raise
    except ModelError as error:
        return Outcome(stage=Stage.CAPTURE, status=Status.ERROR, signature=MODEL, detail=str(error))
    except Exception as error:  # noqa: BLE001 (our own: what the target raises is an outcome already)
        return suite_error(device.stage, error)


class _Run:
    """A case whose program is compiled, and what it has given so far."""

    def __init__(self, case: Case, reference_model: ReferenceModel, comparison: Comparison, device: Device) -> None:
        self.case, self.reference_model, self.comparison, self.device = case, reference_model, comparison, device
        self.outputs = RunOutputs(())
        self.detections: DetectionFigures | None = None
        self.not_detected: Check | None = None

    def outcome_of(self, system: str, pictures: str | None, calls: int, keep: Callable[[Outcome], None]) -> Outcome:
        """Everything, one after the other."""
        try:
            pieces, build = self.comparison.pieces, self.device.compile
            compiled = build(self.comparison.program) if pieces is None else pieces.compiled(build)
            if (known := self.comparison.judged.get(id(compiled))) is not None:
                return known.outcome.model_copy(update={"same_program_as": known.case_id})
            self.call(compiled, calls)
        except TargetFailed as failed:
            return self.explained(failed.outcome)
        self.detect(compiled, system_of(self.case.subject, system), pictures)
        if self.comparison.tapped is not None:
            keep(self.outcome())
            self.tap()
        outcome = self.outcome()
        if self.device.target.emulated:  # it gives the same program out again for releases with the same defects
            self.comparison.judged[id(compiled)] = Judged(compiled, self.case.id, outcome)
        return outcome

    def call(self, compiled: Compiled, calls: int) -> None:
        """Show it the images that are compared, others, and both again, in turn: or a stale output would be right."""
        shown = (self.comparison.compared.inputs, self.comparison.others.inputs)
        answers = tuple(self.device.call(compiled, shown[number % 2]) for number in range(calls))
        self.outputs = replace(self.outputs, calls=answers)

    def detect(self, compiled: Compiled, system: System, pictures: str | None) -> None:
        """Count detections, where the model detects."""
        wanted = self.comparison.compared.reference[: self.comparison.output_count]
        if self.case.layer is not None or mismatch(self.outputs.calls[0], wanted):
            return

        def ask(inputs: Inputs) -> Inputs:
            answer = self.device.call(compiled, inputs)
            if difference := mismatch(answer, wanted):
                raise TargetFailed(Outcome(stage=Stage.COMPARE, status=Status.MISMATCH, detail=difference))
            return answer

        try:
            self.detections = detect(self.case.subject, system, self.reference_model.model, ask, pictures)
        except TargetFailed as failed:
            said = failed.outcome
            self.not_detected = Check(
                of=Aspect.DETECTIONS, status=said.status, signature=said.signature, detail=said.detail
            )

    def tap(self) -> None:
        """Run the program with all layers tapped. Where that fails, the model itself has compiled and run all the
        same: the taps are ours."""
        assert self.comparison.tapped is not None
        try:
            compiled = self.device.compile_unseen(self.comparison.tapped)
            tapped = self.device.call(compiled, self.comparison.compared.inputs)
        except TargetFailed as failed:
            self.outputs = replace(self.outputs, tapping_failed=f"with all layers tapped: {failed}")
        else:
            self.outputs = replace(self.outputs, tapped=tapped)

    def outcome(self) -> Outcome:
        """The verdict on what it has given, with its cause."""
        self.device.enter(Stage.COMPARE)
        conditioning, dtype = {}, self.case.subject.dtype
        if self.case.layer is None:
            conditioning = self.reference_model.conditioning(sorted({dtype, "bfloat16"}))
        found = judge(self.comparison, self.outputs, dtype, self.reference_model.unsure(conditioning))
        if self.detections is not None:
            found.checks.append(judge_detections(self.detections))
        elif self.not_detected is not None:
            found.checks.append(self.not_detected)
        figures = {"conditioning": conditioning, "detections": self.detections, "seconds": self.device.seconds}
        return self.explained(with_verdict(found.model_copy(update=figures)))

    def explained(self, outcome: Outcome) -> Outcome:
        """The outcome with its cause, and what is to be known of the model. Where we could not read what the target
        shows of its program, that is our own error, with all figures that there are."""
        hlo = str(self.device.hlo) if self.device.hlo and self.device.hlo.is_file() else None
        outcome = outcome.model_copy(
            update={"hlo": hlo, "passes": self.device.passes, "notes": [*self.reference_model.notes, *outcome.notes]}
        )
        ours = self.device.unreadable
        try:
            if self.comparison.explained:
                outcome = with_cause(self.case, self.comparison, self.device, outcome)
        except Exception as error:  # noqa: BLE001 (our own)
            ours = suite_error(self.device.stage, error)
        if ours is None:
            return outcome
        names = ("stage", "status", "signature", "detail", "traceback")
        return outcome.model_copy(update={name: getattr(ours, name) for name in names})


def explain_case(case: Case, system: str, target: Target, died: Outcome, weights: str | None = None) -> Outcome:
    """The outcome of a case whose process died, with the known defects that explain it."""
    reference_model = _reference_model(case.subject, system, weights)
    comparison = _comparison(reference_model, case)
    return _Run(case, reference_model, comparison, Device(target, case, lambda stage: None)).explained(died)


def front_end_of(case: Case, system: str, hlo: bytes, weights: str | None = None) -> str:
    """How an HLO module differs from that of torch-xla for a case's program: `equal`, or what it has and lacks."""
    program = comparison_of(case, system, weights).program
    expected = hlo_text(program)
    if expected is None:
        return "not compared: all of it is a constant for torch-xla"
    return difference(text_of(hlo), expected)


def operators_in(case: Case, system: str, weights: str | None = None) -> list[Operator]:
    """The operators of a case's program, as torch.export sees them. Raises CaptureError."""
    reference_model = _reference_model(case.subject, system, weights)
    return list(operators_of(reference_model, in_program(case.column.workarounds)))


def cut_of(case: Case, system: str, span: Span, weights: str | None = None) -> Cut:
    """The operators of a span, cut out of a case's program."""
    reference_model = _reference_model(case.subject, system, weights)
    return operators_of(reference_model, in_program(case.column.workarounds)).cut(span.operators)


def comparison_of(case: Case, system: str, weights: str | None = None) -> Comparison:
    """What a case is compared with."""
    return _comparison(_reference_model(case.subject, system, weights), case)


def _comparison(reference_model: ReferenceModel, case: Case) -> Comparison:
    """Of the whole model, one layer, or a span of operators."""
    if case.layer is not None and is_span(case.layer):
        return of_span(reference_model, parse_span(case.layer), in_program(case.column.workarounds))
    return reference_model.comparison(case.layer, case.column.workarounds)


def system_of(subject: Subject, spec: str) -> System:
    """The system of a subject, which `spec` loads; one without a task is a minimal case of a defect."""
    return _system(subject.system, subject.task, spec)


def _system(name: str, task: str, spec: str) -> System:
    if not task:
        return MinimalCases(known_defect(name))
    return load_system(spec)


@lru_cache(maxsize=1)
def _reference_model(subject: Subject, system: str, weights: str | None) -> ReferenceModel:
    """The last one is kept, for the next target or workaround."""
    model = _model(subject.system, subject.variant, subject.task, system, weights)
    return ReferenceModel(system_of(subject, system), model, subject)


@lru_cache(maxsize=2)
def _model(name: str, variant: str, task: str, system: str, weights: str | None) -> Model:
    given = [weights] if weights else []  # a system that takes none has no such argument
    with of_its_own(found := _system(name, task, system), "it cannot be built"):
        return found.build(variant, task, *given)
