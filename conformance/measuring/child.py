"""The child's side of measuring operators: samples through a target. Nothing heavy is imported before it runs."""

from __future__ import annotations

from conformance.measuring.ask import Ask
from conformance.running.child import start


def measure(ask: Ask) -> str:
    """The answer, as JSON."""
    from conformance.measuring.measure import answer

    start()
    return answer(ask).model_dump_json()


def names() -> list[str]:
    """Every operator of torch, every program that models have, every computation that has several spellings."""
    from conformance.measuring.programs import programs
    from conformance.measuring.rewrites import rewrites
    from conformance.operators.database import names as known

    return [*known(), *programs(), *rewrites()]


def outline(ask: Ask) -> str:
    """The samples that an ask is about, all to be asked for one by one, and what they are made of; as JSON."""
    from conformance.measuring.measure import outlined

    start()
    return outlined(ask).model_dump_json()
