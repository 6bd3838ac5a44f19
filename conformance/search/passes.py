"""Which pass of a compiler makes a case wrong: the one without which it is right."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from conformance.cases.outcome import Status
from conformance.core.errors import UserError
from conformance.search.trials import Change, Trials, fewest, snippet
from conformance.targets.passes import LIST, left_out, without


class Blamed(BaseModel):
    """The passes to blame, none where no pass is, of those that changed the program, and lines to paste."""

    case: str
    passes: tuple[str, ...]
    of: tuple[str, ...]
    tried: dict[str, str]
    snippet: str

    @property
    def found(self) -> bool:
        """Whether any is to blame."""
        return bool(self.passes)


def blamed_pass(trials: Trials) -> Blamed:
    """Leave passes out, half of them at a time. Raises UserError for a target of which none can be left out."""
    target, case = trials.target, trials.case
    if not target.offers(LIST):
        raise UserError(f"{target.name} cannot leave passes out: try `conformance search remedy`")
    listed = trials.outcome(Change((LIST,)))
    if listed.status is Status.PASS:
        raise UserError(f"{case.id} is right now: it does not fail each time")
    left, spare = target.passes_left(), list[str]()
    passes = listed.passes or left
    found = _cure(passes, trials, spare)
    if not found and len(spare) > 1 and trials.cures(_leaving_out(spare)):
        found = spare
    change = fewest(_leaving_out(found), trials) if found else Change()
    return Blamed(
        case=case.id,
        passes=tuple(left_out(change.settings)),
        of=tuple(passes),
        tried={str(change): outcome.summary for change, outcome in trials.tried.items()},
        snippet=snippet(target, case, change) if found else "",
    )


def _leaving_out(passes: Sequence[str]) -> Change:
    return Change(without(passes))


def _cure(passes: Sequence[str], trials: Trials, spare: list[str]) -> list[str]:
    """Few passes without which the case is right; else those without which it fails as before are `spare`. Without
    passes that are needed it fails in another way, which says nothing: their halves are asked then."""
    if not passes:
        return []
    outcome, whole = trials.outcome(_leaving_out(passes)), trials.whole
    if (outcome.status, outcome.stage, outcome.signature) == (whole.status, whole.stage, whole.signature):
        spare += passes
        return []
    cured = list(passes) if outcome.status is Status.PASS else []
    if len(passes) == 1:
        return cured
    middle = len(passes) // 2
    return _cure(passes[:middle], trials, spare) or _cure(passes[middle:], trials, spare) or cured
