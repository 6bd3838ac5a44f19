"""What a property test says: how the smallest program failed, as a script, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.cases.case import Case
from conformance.cases.outcome import Outcome
from conformance.properties.places import place_id
from conformance.properties.program import Program

_ACCEPT = "--accept makes it a case that is expected to fail; the search then goes on past it"


def describe(program: Program, outcome: Outcome, place: Case) -> str:
    """How a program failed, and the script that shows it."""
    return "\n".join([*_failure(outcome, place), "", _script(program, place), f"  {_ACCEPT}"])


def named(outcome: Outcome) -> str:
    """`wrong in compare`, `error in lower (RuntimeError)`."""
    signature = f" ({outcome.signature})" if outcome.signature else ""
    return f"{outcome.status.value} in {outcome.stage.value}{signature}"


def _failure(outcome: Outcome, place: Case) -> Iterator[str]:
    yield f"{named(outcome)} on {place_id(place)}"
    if outcome.detail:
        yield outcome.detail
    for name, group in outcome.groups.items():
        mark, ratios = "✗" if group.bad else " ", ", ".join(f"{i.noise_ratio:.3g}" for i in group.per_image)
        yield f"{mark} {name} noise ratio {group.noise_ratio:.3g} (per image: {ratios}), cosine {group.cosine:.4f}"
    if outcome.defects:
        yield f"  known: {', '.join(outcome.defects)}"


def _script(program: Program, place: Case) -> str:
    from conformance.properties.script import script

    return script(program, place)
