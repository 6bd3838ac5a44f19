"""The smallest set of workarounds and settings with which a case is right, and what it costs in time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from pydantic import BaseModel

from conformance.cases.outcome import Outcome
from conformance.defects.catalogue import DEFECTS
from conformance.programs.workarounds import WORKAROUNDS
from conformance.search.trials import Change, Trials, fewest, snippet

_NO_REMEDY = ("compile-only",)  # settings with which nothing is run


class Remedy(BaseModel):
    """What cures a case, `dtype` where that is less of an auto-cast: one call of it beside one of the case as it is,
    in seconds, and lines to paste."""

    workarounds: tuple[str, ...]
    settings: tuple[str, ...]
    dtype: str | None = None
    run: float | None
    snippet: str

    @property
    def name(self) -> str:
        """`slice + O1`."""
        return str(Change(self.settings, self.workarounds, self.dtype))


class Remedies(BaseModel):
    """All remedies of the smallest size, the fastest first, and how many changes were tried."""

    case: str
    run: float | None
    remedies: tuple[Remedy, ...]
    tried: dict[str, str]

    @property
    def found(self) -> bool:
        """Whether there is any."""
        return bool(self.remedies)


def remedies(trials: Trials) -> Remedies:
    """Try each workaround that changes something of the program and each setting of the target, then several of them
    together."""
    found = sorted(_cures(trials), key=lambda change: trials.outcome(change).seconds.run or 0)
    return Remedies(
        case=trials.case.id,
        run=trials.whole.seconds.run,
        remedies=tuple(_remedy(change, trials) for change in found),
        tried={str(change): outcome.summary for change, outcome in trials.tried.items()},
    )


def _cures(trials: Trials) -> list[Change]:
    """Those of one part; where none of these cures, the first of several from which no part can be left out."""
    alone = list(changes(trials))
    if found := [one for one in alone if trials.cures(one)]:
        return found
    decided = [one for one in alone if trials.outcome(one).decided]  # what is not supported helps nobody
    rewrites = sum((one for one in decided if one.workarounds), Change())
    settings = [one for one in decided if one.settings]
    several = [
        rewrites,
        *(rewrites + one for one in settings),
        *(one + other for one, other in combinations(settings, 2)),
    ]
    return [fewest(change, trials) for change in several if len(change) > 1 and trials.cures(change)][:1]


def changes(trials: Trials) -> Iterator[Change]:
    """What may help, each alone, first what the known defects of the case name."""
    column = trials.case.column
    named = [name for names in trials.whole.helping.values() for name in names]
    for name in dict.fromkeys((*named, *_fitting(trials))):
        if name not in column.workarounds:
            yield Change((), (name,))
    for name in trials.target.settings:
        if name not in (*column.settings, *_NO_REMEDY):
            yield Change((name,))
    casts = ("all-bf16", "matmult-bf16", "float32")
    if (dtype := trials.case.subject.dtype) in casts:
        yield from (Change(dtype=less) for less in casts[casts.index(dtype) + 1 :])


def _fitting(trials: Trials) -> Iterator[str]:
    """The workarounds that change an operator of the program, and those of everything that are for some defect which
    the target is known to have."""
    column = trials.case.column
    packages = trials.target.packages(column.hardware, column.sdk)
    had = [defect for defect in DEFECTS.values() if defect.affects(packages, column.workarounds, column.hardware)]
    for name, workaround in WORKAROUNDS.items():
        of_everything = not workaround.changes and any(name in defect.workarounds for defect in had)
        if of_everything or trials.may_change(workaround):
            yield name


def _remedy(change: Change, trials: Trials) -> Remedy:
    outcome: Outcome = trials.outcome(change)
    return Remedy(
        workarounds=change.workarounds,
        settings=change.settings,
        dtype=change.dtype,
        run=outcome.seconds.run,
        snippet=snippet(trials.target, trials.case, change),
    )
