"""Is a vision model, compiled for an accelerator, right: layer by layer, image by image?

What stands in `__all__` is public: it changes only with an entry in the CHANGELOG, and is removed only after a
release that warns of it. So are options, ids of cases, fields of records, entry points and the words of profiles.
Everything else in the package may change at any time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from conformance.cases.case import Case, Column, Subject
    from conformance.cases.outcome import Record, Stage, Status
    from conformance.checking.api import check
    from conformance.checking.report import Report
    from conformance.commands.lint import lint
    from conformance.commands.model_loading import TraceSpec
    from conformance.core.errors import UserError
    from conformance.core.groups import Group
    from conformance.defects.defect import Defect, Evidence, MinimalCase
    from conformance.programs.applied import apply_workarounds
    from conformance.programs.program import Program
    from conformance.programs.workarounds import Workaround, rewriting, workarounds
    from conformance.results.records import read_records
    from conformance.systems.base import BaseSystem
    from conformance.systems.protocol import Model, System
    from conformance.targets.base import BaseTarget
    from conformance.targets.protocol import CompileError, Options, Target, Unsupported

# Where each name is: nothing is imported before it is asked for, and torch not before it is needed.
_HOMES = {
    "cases.case": ("Case", "Column", "Subject"),
    "cases.outcome": ("Record", "Stage", "Status"),
    "checking.api": ("check",),
    "checking.report": ("Report",),
    "commands.lint": ("lint",),
    "commands.model_loading": ("TraceSpec",),
    "core.errors": ("UserError",),
    "core.groups": ("Group",),
    "defects.defect": ("Defect", "Evidence", "MinimalCase"),
    "programs.applied": ("apply_workarounds",),
    "programs.program": ("Program",),
    "programs.workarounds": ("Workaround", "rewriting", "workarounds"),
    "results.records": ("read_records",),
    "systems.base": ("BaseSystem",),
    "systems.protocol": ("Model", "System"),
    "targets.base": ("BaseTarget",),
    "targets.protocol": ("CompileError", "Options", "Target", "Unsupported"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BaseSystem", "BaseTarget", "Case", "Column", "CompileError", "Defect", "Evidence", "Group", "MinimalCase",
    "Model", "Options", "Program", "Record", "Report", "Stage", "Status", "Subject", "System", "Target", "TraceSpec",
    "Unsupported", "UserError", "Workaround", "apply_workarounds", "check", "lint", "read_records", "rewriting",
    "workarounds",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'conformance' has no attribute {name!r}")
    return getattr(import_module(f"conformance.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
