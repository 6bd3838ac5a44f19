"""What makes a test of a case fail, and what makes it skip."""

from __future__ import annotations

from typing import NoReturn

import pytest

from conformance.cases.outcome import Aspect, Check, DetectionCounts, Record, Stage, Status, describe_outcome
from conformance.defects.defect import Defect, MinimalCase
from conformance.report.failure import layer_line, lines
from conformance.report.formatting import precision, share


def require_pass(record: Record) -> None:
    """Fail the test unless the outputs are right, of the model or of the layer; skip it where there is no verdict."""
    _require_none_of_ours(record)
    check = record.checked(Aspect.MODEL if record.layer is None else Aspect.ISOLATED)
    if check is None:  # it did not come to outputs
        _require_verdict(record)
        _fail(record, [record.summary])
    if not check.decided:
        _skip(check)
    if check.status is not Status.PASS:
        _fail(record, [describe_outcome(check.status, record.stage, check.signature)])


def require_good_layers(record: Record) -> None:
    """Fail the test if any layer in place is bad; skip it where they were not seen, or there is no verdict."""
    _require_none_of_ours(record)
    check = record.checked(Aspect.IN_PLACE)
    if check is None:
        why = "it has no layers" if record.checks else "test_model says why"
        pytest.skip(f"no layer was seen ({record.summary}): {why}")
    if not check.decided:
        _skip(check)
    if check.status is not Status.PASS:
        bad = [layer for layer in record.layers if layer.bad]
        headline = f"{len(bad)} of {len(record.layers)} layers are wrong" if bad else check.detail
        _fail(record, [headline or check.status.value, *map(layer_line, bad)])


def require_detections(record: Record) -> None:
    """Fail the test if the device loses detections or makes some up; skip it where there were none to lose."""
    _require_none_of_ours(record)
    check, found = record.checked(Aspect.DETECTIONS), record.detections
    if check is None:
        if record.status is Status.UNSUPPORTED:
            _require_verdict(record)
        _fail(record, [f"no detections were seen: {record.summary}"])
    if not check.decided:
        _skip(check)
    if check.status is Status.PASS:
        return
    if found is None:
        _fail(record, [describe_outcome(check.status, Stage.RUN, check.signature), check.detail or ""])
    seen = f"{found.images} images" + (f" of {found.folder}" if found.folder else "")
    ap = "" if found.ap is None else f"; AP {precision(found.ap)} instead of {precision(found.reference_ap)}"
    _fail(record, [f"detections differ over {seen}{ap}", *map(_counts, found.counts)])


def require_failure(record: Record, defect: Defect, expected: MinimalCase) -> None:
    """Fail the test unless the minimal case failed exactly as the defect is known to; skip it where it was not run
    and would have had to be."""
    _require_none_of_ours(record)
    if record.status == Status.NOT_RUN and defect.stage in (Stage.LOAD, Stage.RUN, Stage.COMPARE):
        _require_verdict(record)
    if record.status in (Status.PASS, Status.NOT_RUN):
        _fail(record, [f"unexpected pass: {defect.id} is known to be met here; if it is fixed, narrow its packages"])
    if expected.or_error and (record.status, record.signature) == (Status.ERROR, expected.or_error):
        return
    wanted = describe_outcome(expected.status, defect.stage, expected.signature)
    if wanted != record.summary:
        _fail(record, [f"another failure than the known one: {record.summary} instead of {wanted}"])
    if (wrong := record.bad_images) != expected.wrong_images:
        _fail(record, [f"other images are wrong than those known to be: {wrong} instead of {expected.wrong_images}"])


def _require_none_of_ours(record: Record) -> None:
    """Fail the test for an error of the suite's own."""
    __tracebackhide__ = True
    if record.status is Status.SUITE_ERROR:
        _fail(record, [record.summary])


def _require_verdict(record: Record) -> None:
    """Skip the test where there is no verdict."""
    __tracebackhide__ = True
    if not record.decided:
        _skip(record)


def _skip(verdict: Record | Check) -> NoReturn:
    __tracebackhide__ = True
    pytest.skip(f"{verdict.status.value.replace('_', ' ')}: {verdict.detail}")


def _fail(record: Record, headline: list[str]) -> NoReturn:
    __tracebackhide__ = True
    pytest.fail("\n".join([*headline, *lines(record)]), pytrace=False)


def _counts(count: DetectionCounts) -> str:
    kept = f"{share(count.kept, count.reference)} of {count.reference}"
    return f"  confidence {count.confidence:g}: {kept} kept, {count.lost} lost, {count.spurious} spurious"
