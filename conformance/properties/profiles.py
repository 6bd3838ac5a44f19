"""How long the search is: hypothesis profiles, chosen with hypothesis' own `--hypothesis-profile`."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.errors import InvalidArgument

from conformance.core.errors import unknown

DEFAULT = "ci"


def register() -> None:
    """`ci`: a few programs, always the same. `dev`: some, others every time. `nightly`: 10,000, which are
    one to three hours a target, and days with inductor.

    Failures of the last two are kept in `.hypothesis` and tried first the next time. No deadline: compilers
    take their time; a hang is ended from outside. Nothing is left to hypothesis' own profile for CI, which it
    takes by itself where it sees one and which would give a nightly run the same programs every night.
    """
    shared = settings(settings.get_profile("default"), deadline=None, print_blob=False, report_multiple_bugs=False)
    settings.register_profile(DEFAULT, shared, max_examples=15, derandomize=True, database=None)
    settings.register_profile("dev", shared, max_examples=300)
    settings.register_profile("nightly", shared, max_examples=10_000)


def chosen_profile(name: str | None) -> settings:
    """The settings of a profile. Raises UserError."""
    register()
    try:
        return settings.get_profile(name or DEFAULT)
    except InvalidArgument:
        raise unknown("hypothesis profile", name or DEFAULT, ("ci", "dev", "nightly")) from None
