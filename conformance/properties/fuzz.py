"""The search: hypothesis draws programs until one fails that is not known, and shrinks it."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from conformance.cases.outcome import Outcome
from conformance.properties.generate import programs
from conformance.properties.program import ProgramSpec
from conformance.properties.search import Search
from conformance.properties.setups import DEFAULT_DTYPE


class Found(Exception):
    """A program failed, and nothing that is known explains it."""


def fuzz(search: Search, profile: settings, folder: str | None = None) -> tuple[ProgramSpec, Outcome] | None:
    """The smallest program that was found to fail, and how; None where there is none.

    Only float32 is fine enough for inputs without ties; where a target casts, or stores less, nothing is looked up
    by rank. `folder` is where failures are kept for the next time, if the profile keeps any.
    """
    if profile.database is not None and folder is not None:
        profile = settings(profile, database=DirectoryBasedExampleDatabase(folder))

    @profile
    @given(programs(ranking=search.setup.dtype == DEFAULT_DTYPE))
    def target_equals_reference(program: ProgramSpec) -> None:
        verdict = search.try_(program)
        event(verdict)
        if verdict == "fail":
            raise Found

    try:
        target_equals_reference()
    except Found:
        return search.failed
    return None
