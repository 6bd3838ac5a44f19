"""The process that reads a file of torch.export: it is told on stdin what to do, and answers in JSON on stdout."""

from __future__ import annotations

import json
import os
import sys

if __name__ == "__main__":  # the folder of this file is no place for modules of anyone's
    sys.path[:] = json.loads(sys.argv[1])

import tempfile
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

from conformance.commands.isolated import answering
from conformance.commands.lint import findings
from conformance.commands.model_loading import TraceSpec
from conformance.core.deferred import torch
from conformance.core.errors import UserError, first_line
from conformance.pt2.archive import checked_archive
from conformance.pt2.sandbox import confine


def _findings(request: dict[str, Any]) -> list[dict[str, Any]]:
    confine(request["scratch"])
    tempfile.tempdir = os.environ["TORCHINDUCTOR_CACHE_DIR"] = request["scratch"]  # torch makes folders on import
    archive = checked_archive(Path(request["path"]))
    try:
        exported = torch.export.load(BytesIO(archive))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (the reader has many)
        raise UserError(f"torch {torch.__version__} cannot read it: {first_line(error)}") from None
    stacks = [(node.meta.get("nn_module_stack") or {}).values() for node in exported.graph.nodes]
    paths = frozenset(str(path) for stack in stacks for path, _ in stack if path)
    spec = TraceSpec((1, 0, 0), request["dtype"], tuple(request["workarounds"]))
    return [asdict(one) for one in findings(exported, paths, request["packages"], spec, request["hardware"])]


if __name__ == "__main__":
    answering("findings", _findings)
