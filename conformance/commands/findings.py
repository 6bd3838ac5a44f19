"""What a look at a graph found: as a table, as JSON, and as SARIF."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.table import Table

from conformance.commands.lint import Finding
from conformance.report.formatting import plural

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def print_findings(found: Sequence[Finding], about: str, console: Console) -> None:
    """One line a node, and what is known of each defect below."""
    if not found:
        console.print(f"{about}: nothing that is known goes wrong")
        return
    table = Table(title=f"{about}: {plural(len(found), 'place')} where something is known to go wrong")
    for name in ("defect", "module", "operator", "shape", "certainty", "use instead"):
        table.add_column(name, overflow="fold")
    for one in found:
        shape = " x ".join(map(str, one.shape))
        instead = ", ".join(one.workarounds) or "-"
        table.add_row(one.defect, one.module or "-", one.operator, shape, one.certainty, instead)
    console.print(table)
    if any(one.seen_in == "run" for one in found):
        console.print("torch.export cannot capture it: what torch-xla does not lower of one run is all that was seen")
    for defect, one in {one.defect: one for one in found}.items():
        console.print(f"{defect}: {one.title}\n  {one.links[0]}", highlight=False)


def as_json(found: Sequence[Finding]) -> str:
    """A list of objects, one for each node."""
    return json.dumps([asdict(one) for one in found], indent=1)


def as_sarif(found: Sequence[Finding], model: str) -> str:
    """SARIF 2.1.0. There is no source file to point at: a location is the module's path in the model."""
    rules = {one.defect: one for one in found}
    tool = {
        "name": "neuron-conformance",
        "version": version("neuron-conformance"),
        "rules": [
            {"id": name, "shortDescription": {"text": one.title}, "helpUri": one.links[0]}
            for name, one in rules.items()
        ],
    }
    run = {"tool": {"driver": tool}, "results": [_result(one, model) for one in found]}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _result(one: Finding, model: str) -> dict[str, Any]:
    where = ".".join(filter(None, (model, one.module)))
    instead = f" Use {' or '.join(one.workarounds)}." if one.workarounds else ""
    text = f"{one.operator} of {list(one.shape)} in {where}: {one.title} ({one.certainty}).{instead}"
    return {
        "ruleId": one.defect,
        "level": "warning" if one.certainty == "report" else "error",
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": model.partition(":")[0].replace(".", "/")}},
                "logicalLocations": [{"fullyQualifiedName": where, "kind": "module"}],
            }
        ],
    }
