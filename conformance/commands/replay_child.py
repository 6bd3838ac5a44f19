"""The process that runs an HLO file: what a compiler does to it, it does not do to the command."""

from __future__ import annotations

import json
import sys

if __name__ == "__main__":  # the folder of this file is no place for modules of anyone's
    sys.path[:] = json.loads(sys.argv[1])

from dataclasses import asdict
from pathlib import Path
from typing import Any

from conformance.commands.isolated import answering
from conformance.replay.run import replay


def _figures(request: dict[str, Any]) -> dict[str, Any]:
    values = Path(request["values"]) if request["values"] else None
    return asdict(replay(Path(request["path"]), values, request["seed"]))


if __name__ == "__main__":
    answering("replay", _figures)
