"""Runs cases for the tests: each once, each recorded."""

from __future__ import annotations

import shlex
from datetime import datetime, timezone

import pytest

from conformance.cases.case import Case
from conformance.cases.options import CALLS
from conformance.cases.outcome import Record, Stage, suite_error
from conformance.core.errors import UserError
from conformance.host.probe import installed_version
from conformance.results.records import RecordWriter
from conformance.running.child import Job
from conformance.running.worker import Worker
from conformance.selection.select import Selection
from conformance.targets.loading import load_target
from conformance.targets.protocol import Target

PACKAGES = ("neuron-conformance", "torch", "numpy", "ultralytics")


class CaseRunner:
    """A worker, a place for the records, and what was found so far."""

    def __init__(self, selection: Selection, worker: Worker, writer: RecordWriter, calls: int = CALLS) -> None:
        self.selection = selection
        self.calls = calls
        self.worker = worker
        self.writer = writer
        self._found: dict[str, Record] = {}

    def run(self, case: Case) -> Record:
        """The record of a case; it is run the first time it is asked for. One that cannot be, as its weights cannot
        be had, fails its test and has no record: it was not tested."""
        if case.id not in self._found:
            try:
                self._found[case.id] = self._run(case)
            except UserError as error:
                raise pytest.fail.Exception(f"cannot be run: {error}", pytrace=False) from None
        return self._found[case.id]

    def found(self, case: Case) -> Record | None:
        """The record of a case that was run."""
        return self._found.get(case.id)

    def target(self, case: Case) -> Target:
        """The target of a case."""
        return load_target(self.selection.targets[case.column.target])

    def _run(self, case: Case) -> Record:
        target = self.target(case)
        job = Job(
            case,
            self.selection.systems.get(case.subject.system, case.subject.system),
            self.selection.targets[case.column.target],
            self.selection.weights.get(case.subject.weights or ""),
            self.selection.pictures if case.subject.weights else None,
            self.calls,
        )
        started = datetime.now(timezone.utc)
        variables = self.worker.leases.process(target, case.column)
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
        if self.selection.profile != "quick":
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
