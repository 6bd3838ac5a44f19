"""One program on one target: does it compute what it should, and if not, is that known?"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.cases.outcome import Outcome, Status
from conformance.properties.program import ProgramSpec
from conformance.properties.setups import Setup
from conformance.properties.system import SYSTEM, case_of
from conformance.running.child import Job
from conformance.running.worker import Worker
from conformance.targets.protocol import Target

if TYPE_CHECKING:
    from conformance.properties.accepted import Accepted

LONGEST = 60.0  # seconds, after which a program of a few small steps is a hang
_FRESH_AFTER = 500  # programs, after which the references on disk are thrown away


class ScratchRunner:
    """A worker, and a cache that is thrown away: nobody meets a program twice."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.folder = Path(tempfile.mkdtemp(prefix="conformance-programs-"))
        self._run = 0

    def run(self, program: ProgramSpec, setup: Setup, target: Target, target_spec: str) -> Outcome:
        """What becomes of a program. Errors of our own are raised."""
        self._run += 1
        if self._run % _FRESH_AFTER == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
        environment = {**self.worker.leases.process(target, setup.column), "CONFORMANCE_CACHE": str(self.folder)}
        return self.worker.run(Job(case_of(program, setup), SYSTEM, target_spec), environment, self.longest(target))

    def longest(self, target: Target) -> float:
        """After how many seconds a program hangs. neuronx-cc takes its time for small ones, too."""
        return self.worker.timeout if target.cores(()) else min(self.worker.timeout, LONGEST)

    def close(self) -> None:
        """Remove the cache."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Search:
    """Programs on one target at one setup. `tried` counts what became of them, `failed` is the last unknown failure.

    What is known is passed over: `defects` of the catalogue that the program triggers, and `accepted` failures that
    it contains. With `known_fails` it counts as a failure, too.
    """

    lab: ScratchRunner
    setup: Setup
    target: Target
    target_spec: str
    accepted: Sequence[Accepted] = ()
    known_fails: bool = False
    tried: Counter[str] = field(default_factory=Counter)
    failed: tuple[ProgramSpec, Outcome] | None = None
    _seen: dict[str, Outcome] = field(default_factory=dict)

    def outcome(self, program: ProgramSpec) -> Outcome:
        """What becomes of a program; it is run once, however often shrinking comes back to it."""
        text = program.model_dump_json()
        if text not in self._seen:
            self._seen[text] = self.lab.run(program, self.setup, self.target, self.target_spec)
        return self._seen[text]

    def try_(self, program: ProgramSpec) -> str:
        """`pass`, `known: split-with-sizes`, `ill-conditioned`, or `fail`; that is then the last failure."""
        outcome = self.outcome(program)
        if outcome.status is Status.SUITE_ERROR:
            verdict = "fail"
            self.failed = program, outcome
        elif not outcome.decided:  # it does not claim to, or that dtype cannot be judged
            verdict = outcome.status.value
        elif outcome.status is Status.PASS:
            verdict = "pass"
        elif (known := self.known(program, outcome)) and not self.known_fails:
            verdict = f"known: {', '.join(known)}"
        elif outcome.status == Status.WRONG and outcome.groups and self._only_rounding(program, outcome):
            verdict = "ill-conditioned"
        else:
            verdict = "fail"
            self.failed = program, outcome
        self.tried[verdict] += 1
        return verdict

    def _only_rounding(self, program: ProgramSpec, outcome: Outcome) -> bool:
        from conformance.properties.rounding import only_rounding

        return only_rounding(program, outcome, self.setup.dtype)

    def known(self, program: ProgramSpec, outcome: Outcome) -> list[str]:
        """The defects that explain a failure, and the accepted programs it contains that fail alike."""
        expected = [case for case in self.accepted if case.expected_at(self.setup, self.target)]
        alike = [case.name for case in expected if case.fails_alike(outcome) and program.contains(case.program)]
        return [*outcome.defects, *alike]
