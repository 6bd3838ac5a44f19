"""A target at work on a case: what it raises is an outcome, and what it shows of its programs is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from time import perf_counter

from torch import Tensor

from conformance.cases.case import Case
from conformance.cases.outcome import Outcome, Seconds, Stage, Status, suite_error
from conformance.core.errors import UserError, first_line
from conformance.graphs.graph import Fallback, Graph
from conformance.host.trouble import HostTrouble
from conformance.programs.program import CaptureError, Program
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

Inputs = tuple[Tensor, ...]
LONGEST_DETAIL = 2000
_NCC_CODE = re.compile(r"NCC_[A-Z]{2,5}\d{3}")


class TargetFailed(Exception):
    """A target has raised: what came of it."""

    def __init__(self, outcome: Outcome, text: str = "") -> None:
        super().__init__(text[:LONGEST_DETAIL])
        self.outcome = outcome


class Device:
    """A target and what it has shown so far: `graphs`, `fallbacks` (of one that says so, `watched`), the file of the
    `hlo` that its compiler is given, the `passes` that changed the program, and, where a graph of its could not be
    read, which is our own fault, `unreadable`. Its methods raise TargetFailed for what the target raises."""

    def __init__(self, target: Target, case: Case, tell: Callable[[Stage], None]) -> None:
        self.target = target
        self.stage = Stage.CAPTURE
        self.seconds = Seconds()
        self.graphs: list[Graph] = []
        self.fallbacks: list[Fallback] = []
        self.watched = False
        self.hlo: Path | None = None
        self.passes: list[str] = []
        self.unreadable: Outcome | None = None
        self._calls: list[float] = []  # seconds that each took
        self._tell = tell
        self._options = Options(case.column, case.subject.dtype, self.enter)

    def enter(self, stage: Stage) -> None:
        """Begin a stage; the parent is told before."""
        self._tell(stage)
        self.stage = stage

    def compile(self, program: Program) -> Compiled:
        """The compiled program, made from a copy that is the target's own."""
        start = perf_counter()
        shown = replace(
            self._options,
            lowered=self._read,
            fell_back=self._fell_back,
            handed=self._handed,
            passes=self.passes.extend,
        )
        compiled = self._compile(program, shown)
        self.seconds = Seconds(compile=perf_counter() - start)
        return compiled

    def compile_unseen(self, program: Program) -> Compiled:
        """The same, of which nothing is looked at or timed."""
        return self._compile(program, self._options)

    def call(self, compiled: Compiled, inputs: Inputs) -> Inputs:
        """What it gives: of copies, and kept as copies, as a program may write into what it is given, or give its own
        buffer."""
        self.enter(Stage.RUN)
        start = perf_counter()
        try:
            outputs = compiled(*(x.clone() for x in inputs))
            kept = tuple(x.detach().clone() if isinstance(x, Tensor) else x for x in outputs)
        except HostTrouble:
            raise
        except Exception as error:  # of the target's, of any kind
            raise TargetFailed(_failed(self.stage, error), first_line(error)) from error
        self._calls.append(perf_counter() - start)
        self.seconds = self.seconds.model_copy(update={"run": median(self._calls[1:] or self._calls)})
        return kept

    def _compile(self, program: Program, options: Options) -> Compiled:
        try:
            return self.target.compile(program.copied(), options)
        except UserError:
            raise
        except Exception as error:  # of the target's, of any kind
            raise TargetFailed(_failed(self.stage, error), first_line(error)) from error

    def _fell_back(self, fallbacks: Sequence[Fallback]) -> None:
        self.watched = True
        self.fallbacks += fallbacks

    def _handed(self, hlo: Path) -> None:
        self.hlo = hlo

    def _read(self, graph: Graph | Callable[[], Graph]) -> None:
        try:
            self.graphs.append(graph() if callable(graph) else graph)
        except Exception as error:  # noqa: BLE001 (the reader is ours)
            self.unreadable = suite_error(Stage.LOWER, error)


def _failed(stage: Stage, error: Exception) -> Outcome:
    """The outcome of a target that raised. A compiler's own code is the signature, if it names one."""
    text = str(error)
    if isinstance(error, NotRun):
        return Outcome(stage=Stage.COMPILE, status=Status.NOT_RUN, detail=text)
    if isinstance(error, FellBack):
        detail = f"computed on the CPU instead: {text}"[:LONGEST_DETAIL]
        return Outcome(stage=Stage.RUN, status=Status.FALLBACK, detail=detail)
    if isinstance(error, Unsupported):
        return Outcome(stage=stage, status=Status.UNSUPPORTED, detail=error.detail)
    if isinstance(error, Crashed):
        return Outcome(
            stage=stage,
            status=Status.CRASH,
            signature=error.signature,
            detail=error.detail or None,
            evidence=error.evidence,
        )
    evidence = None
    if isinstance(error, CaptureError):
        stage, signature = Stage.CAPTURE, error.signature
    elif isinstance(error, CompileError):
        signature, text, evidence = error.signature, error.detail, error.evidence
    else:
        code = _NCC_CODE.search(text)
        signature = code[0] if code else type(error).__name__
    said = text.strip()[:LONGEST_DETAIL] or None
    return Outcome(stage=stage, status=Status.ERROR, signature=signature, detail=said, evidence=evidence)
