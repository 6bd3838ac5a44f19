"""Whether an id is that of a case that can be: one that matches nothing is a mistake."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.cases.case import parse_id
from conformance.core.errors import check
from conformance.defects.catalogue import known_defect
from conformance.defects.minimal import MinimalCases
from conformance.programs.workarounds import WORKAROUNDS
from conformance.systems.loading import models_of
from conformance.systems.protocol import System
from conformance.systems.user_model import may_be_users
from conformance.targets.protocol import Target


def require_possible(text: str, systems: Mapping[str, System], targets: Mapping[str, Target]) -> None:
    """Whether some case has this id, by these systems and targets, each under its name; a model that a user named may
    be anything. Raises UserError with what is not known of it, and the nearest that is."""
    part = parse_id(text)
    if ":" in part.model:
        defect, _, minimal = part.model.partition(":")
        MinimalCases(known_defect(defect)).minimal(minimal)
    elif (models := models_of(systems)).get(part.model) or not may_be_users(part.model):
        name, variant, task = models[check("model", part.model, models)]
        if part.layer:
            check(f"layer of {part.model}", part.layer, systems[name].layers(variant, task))
    target = targets[check("target", part.column.target, targets)]
    check(f"hardware of {target.name}", part.column.hardware, target.hardware)
    if part.column.sdk:
        check(f"SDK release of {target.name}", part.column.sdk, target.sdks)
    for setting in part.column.settings:
        if not target.offers(setting):
            check(f"setting of {target.name}", setting, target.settings)
    for workaround in part.column.workarounds:
        check("workaround", workaround, WORKAROUNDS)
