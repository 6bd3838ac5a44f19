"""What came of an HLO module on several compilers, and what that says."""

from __future__ import annotations

from pydantic.dataclasses import dataclass


@dataclass(frozen=True)
class OutputFigures:
    """One output of one compiler. `error`: the relative L2 error of the worst image against float64; `ratio`: by how
    much it, or the peak, is larger than that of valid runs: XLA's at the module's own dtypes, and in float64 with
    parameters that are rounded once more."""

    error: float
    ratio: float
    wrong: bool


@dataclass(frozen=True)
class RunFigures:
    """One compiler, or what a device has given. `failed` says why there are no figures; of one that is not installed
    nothing is `known`."""

    name: str
    failed: str | None = None
    outputs: tuple[OutputFigures | None, ...] = ()
    device: bool = False
    known: bool = True

    @property
    def right(self) -> bool:
        """Whether it ran, and nothing of what it gave is wrong."""
        return self.failed is None and not any(one and one.wrong for one in self.outputs)


@dataclass(frozen=True)
class Replay:
    """A module with so many instructions and parameters, of which some were `given`; `outputs` are shapes."""

    instructions: int
    parameters: int
    given: int
    outputs: tuple[str, ...]
    runs: tuple[RunFigures, ...]

    @property
    def right(self) -> bool:
        """Whether all that is known is."""
        return all(run.right for run in self.runs if run.known)

    @property
    def conclusion(self) -> str:
        """Who is to blame."""
        compilers = [run for run in self.runs if run.known and not run.device]
        if wrong := [run.name for run in compilers if not run.right]:
            return (
                f"{' and '.join(wrong)} cannot do it either: it is not the device's compiler alone, or a hard program"
            )
        device = next((run for run in self.runs if run.device), None)
        if device is None:
            return "right here: where a device computes something else, its compiler or its runtime is at fault"
        if device.right:
            return "the device computes what this HLO says: a fault lies before it, in the model or the front end"
        return "right here and wrong on the device: its compiler or its runtime is at fault, and not the front end"
