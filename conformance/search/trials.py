"""A case with other settings and workarounds: what becomes of it, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from conformance.cases.case import AUTO_CAST, Case
from conformance.cases.outcome import Outcome, Status
from conformance.checking.case_runner import CaseRunner
from conformance.checking.check import Tell
from conformance.core.errors import ModelError, UserError
from conformance.programs.workarounds import WORKAROUNDS, Workaround, in_program, switch
from conformance.targets.protocol import Target

_LISTED = 4  # changes that are named while they are tried


@dataclass(frozen=True)
class Change:
    """Settings and workarounds beside those of a case; of one that the compiler casts, another `dtype`: less of it,
    or float32."""

    settings: tuple[str, ...] = ()
    workarounds: tuple[str, ...] = ()
    dtype: str | None = None

    def __add__(self, other: Change) -> Change:
        settings, workarounds = (*self.settings, *other.settings), (*self.workarounds, *other.workarounds)
        return Change(settings, workarounds, self.dtype or other.dtype)

    def __len__(self) -> int:
        return len(self.settings) + len(self.workarounds) + (self.dtype is not None)

    def __str__(self) -> str:
        cast = [f"auto-cast {AUTO_CAST.get(self.dtype, 'none')}"] if self.dtype else []
        return " + ".join((*self.workarounds, *self.settings, *cast)) or "as it is"

    @property
    def parts(self) -> list[Change]:
        """Each of them alone."""
        cast = [Change(dtype=self.dtype)] if self.dtype else []
        return [
            *(Change((), (name,)) for name in self.workarounds),
            *(Change((name,)) for name in self.settings),
            *cast,
        ]

    def of(self, case: Case) -> Case:
        """The case with them, too."""
        column = replace(
            case.column,
            settings=(*case.column.settings, *self.settings),
            workarounds=(*case.column.workarounds, *self.workarounds),
        )
        return replace(case, subject=replace(case.subject, dtype=self.dtype or case.subject.dtype), column=column)


class Trials:
    """Changes of one case, each tried once. A child process that a change needs for itself ends with its trial."""

    def __init__(self, case: Case, whole: Outcome, runner: CaseRunner, tell: Tell) -> None:
        """`whole` is what came of the case without a change. Raises UserError for one that has not failed."""
        if not whole.failed or whole.models_own:
            raise UserError(f"{case.id} has not failed on its target: there is nothing to be cured")
        self.case, self.whole = case, whole
        self.tried: dict[Change, Outcome] = {}
        self._runner, self._tell = runner, tell
        self._own = runner.worker.variables(runner.job(case))

    @property
    def target(self) -> Target:
        """That of the case."""
        return self._runner.target(self.case)

    def outcome(self, change: Change) -> Outcome:
        """What became of the case with a change."""
        if change not in self.tried:
            case = change.of(self.case)
            found = self._runner.run(case)
            told = str(change) if len(change) <= _LISTED else f"{len(change)} changes from {change.parts[0]} on"
            self._tell(f"{told}: {found.summary}")
            self.tried[change] = found
            variables = self._runner.worker.variables(self._runner.job(case))
            if variables != self._own:
                self._runner.worker.end(variables)
        return self.tried[change]

    def cures(self, change: Change) -> bool:
        """Whether the case is right with it."""
        return self.outcome(change).status is Status.PASS

    def may_change(self, workaround: Workaround) -> bool:
        """Whether a workaround changes operators, and the program has any of these, as far as is known."""
        return bool(workaround.changes) and (not self._operators or bool(self._operators & set(workaround.changes)))

    @cached_property
    def _operators(self) -> set[str]:
        """Those of its program, by the name that they have in a graph, `split_with_sizes`; none where there is no
        graph."""
        try:
            found = self._runner.worker.operators(self._runner.job(self.case), self._own)
        except (UserError, ModelError):
            return set()
        return {operator.target.split(".")[1] for operator in found if "." in operator.target}


def fewest(change: Change, trials: Trials) -> Change:
    """A change that cures without the parts that it cures without as well: none of what is left can be left out."""
    for part in change.parts:
        rest = sum((other for other in change.parts if other != part), Change())
        if len(rest) and trials.cures(rest):
            return fewest(rest, trials)
    return change


def snippet(target: Target, case: Case, change: Change) -> str:
    """Lines that do without the suite what a change of a case does."""
    changed = change.of(case)
    rewrites = in_program(change.workarounds)
    lines = [f"# {switch(name)}" for name in change.workarounds if not WORKAROUNDS[name].in_program]
    if rewrites:
        lines += [
            "import conformance",
            f"model = conformance.apply_workarounds(model, {', '.join(map(repr, rewrites))})",
        ]
    if change.settings or change.dtype:
        lines.append(target.snippet(changed.column, changed.subject.dtype))
    return "\n".join(lines)
