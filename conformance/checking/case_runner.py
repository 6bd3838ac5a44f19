"""Runs cases: each once, each recorded."""

from __future__ import annotations

import shlex
from datetime import datetime, timezone

from conformance.cases.case import Case
from conformance.cases.options import CALLS
from conformance.cases.outcome import Record, Stage, suite_error
from conformance.core.errors import UserError
from conformance.core.groups import Group
from conformance.host.probe import installed_version
from conformance.results.records import RecordWriter
from conformance.running.child import Job
from conformance.running.worker import Worker
from conformance.selection.selection import Selection
from conformance.systems.user_model import Kind, ModelSpec
from conformance.targets.loading import load_target
from conformance.targets.protocol import Target

PACKAGES = ("neuron-conformance", "torch", "numpy", "ultralytics")


class CaseRunner:
    """A worker, a place for the records, or none, and what was found so far."""

    def __init__(self, selection: Selection, worker: Worker, writer: RecordWriter | None, calls: int = CALLS) -> None:
        self.selection = selection
        self.calls = calls
        self.worker = worker
        self.writer = writer
        self._found: dict[str, Record] = {}

    def run(self, case: Case) -> Record:
        """The record of a case; it is run the first time it is asked for. Raises UserError for one that cannot be, as
        its weights cannot be had: it has no record, as it was not tested."""
        if case.id not in self._found:
            self._found[case.id] = self._run(case)
        return self._found[case.id]

    def found(self, case: Case) -> Record | None:
        """The record of a case that was run."""
        return self._found.get(case.id)

    def target(self, case: Case) -> Target:
        """The target of a case."""
        return load_target(self.selection.targets[case.column.target])

    def job(self, case: Case) -> Job:
        """What a worker is given of a case."""
        return Job(
            case,
            self.selection.systems.get(case.subject.system, case.subject.system),
            self.selection.targets[case.column.target],
            self.selection.weights.get(case.subject.weights or ""),
            self.selection.pictures if case.subject.weights or self.selection.model else None,
            self.calls,
        )

    def _run(self, case: Case) -> Record:
        target, job = self.target(case), self.job(case)
        started = datetime.now(timezone.utc)
        variables = self.worker.variables(job)
        try:
            outcome = self.worker.run(job, variables)
            if outcome.hlo:
                outcome = outcome.model_copy(update={"front_end": self.worker.front_end(job, outcome.hlo)})
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 (our own)
            outcome = suite_error(Stage.CAPTURE, error)
        record = Record(
            **dict(outcome.model_copy(update={"environment": self._environment(case, target)})),
            id=case.id,
            case=case,
            emulated=target.emulated,
            command=self._command(case, job),
            started=started,
            finished=datetime.now(timezone.utc),
        )
        if self.writer is not None:
            self.writer.write(record)
        return record

    def _environment(self, case: Case, target: Target) -> dict[str, str]:
        """Versions of what took part, known even where the child did not live to tell."""
        installed, column = {name: found for name in PACKAGES if (found := installed_version(name))}, case.column
        if target.emulated:
            return installed
        return (
            installed | target.packages(column.hardware, column.sdk) | target.conditions(column, case.subject.dtype)
        )

    def _command(self, case: Case, job: Job) -> str:
        """What runs this one case again."""
        words = ["pytest", "conformance", "--case", case.id]
        if self.selection.model is not None:
            if self.selection.model.kind is Kind.HANDED:
                return f"conformance.check(...), target={job.target!r}"
            words += model_options(self.selection.model)
        elif self.selection.profile not in ("", "quick"):
            words += ["--profile", self.selection.profile]
        if job.target != case.column.target:
            words += ["--target", job.target]
        if job.weights != case.subject.weights:
            words += ["--weights", str(job.weights)]
        if job.calls != CALLS:
            words += ["--calls", str(job.calls)]
        if job.pictures:
            words += ["--images", job.pictures]
        return shlex.join(words)


def model_options(spec: ModelSpec) -> list[str]:
    """Those of pytest and of `conformance check` that name a model, and what of it is looked at."""
    words = ["--model", spec.source]
    if spec.layers:
        words += ["--layers", ",".join(spec.layers)]
    if spec.depth is not None:
        words += ["--depth", str(spec.depth)]
    if spec.groups:
        words += ["--groups", ",".join(map(group_text, spec.groups))]
    if spec.calibrate is not None:
        words += ["--calibrate" if spec.calibrate else "--no-calibrate"]
    return words


def group_text(group: Group) -> str:
    """`boxes`, or `boxes=0:4` of a part of the first output."""
    part = f"={group.start or ''}:{'' if group.stop is None else group.stop}"
    return group.name if (group.start, group.stop) == (0, None) else group.name + part
