"""torch.compile's inductor on the CPU. A cold compile of a YOLO takes more than a minute."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from conformance.cases.case import AUTO_CAST
from conformance.cases.outcome import Stage
from conformance.core.deferred import torch
from conformance.graphs.exported import from_exported
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Compiled, Options, Unsupported

if TYPE_CHECKING:
    from conformance.programs.program import Program


class Inductor(BaseTarget):
    """Needs a C++ compiler on the host."""

    name = "inductor"

    def missing(self) -> str | None:
        """That g++ is missing, where it is."""
        return None if shutil.which("g++") else "inductor needs g++: apt-get install g++"

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """Inductor is part of torch."""
        return {"torch": version("torch")}

    def compile(self, program: Program, options: Options) -> Compiled:
        """Compile the exported graph; inductor compiles at the first call."""
        if options.dtype == "matmult-bf16":
            program = program.with_casts
        elif options.dtype in AUTO_CAST:
            raise Unsupported(f"no auto-cast, {options.dtype}")
        options.enter(Stage.CAPTURE)
        module = program.exported.module()
        options.lowered(lambda: from_exported(program.exported, program.paths))
        options.enter(Stage.LOWER)
        torch._dynamo.reset()  # or the eighth program of a process is no longer compiled
        settings: dict[str, Any] = {"emulate_precision_casts": options.dtype in AUTO_CAST}  # or it leaves them out
        compiled = torch.compile(module, backend="inductor", fullgraph=True, dynamic=False, options=settings)
        options.enter(Stage.COMPILE)
        with torch.no_grad():
            compiled(*program.inputs)
        return compiled
