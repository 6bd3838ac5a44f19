"""What is known about a compiler bug, and the minimal cases that show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet

from conformance.cases.outcome import Stage, Status
from conformance.defects.dataflow import reachable

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import Node


class Evidence(str, Enum):
    """How sure it is: seen here on the package itself; a log or numbers of a device were published; somebody, or the
    release notes, say so."""

    REPRODUCED = "reproduced"
    TRANSCRIPT = "transcript"
    REPORT = "report"


class EmulatedFault(Enum):
    """What comes out at a node, where that is no function of what the node is given.

    `UNPUBLISHED`: no report says; an answer that is certainly wrong stands for it, and the record says that it was
    made up. `FROZEN`: the answer to the inputs that the program was compiled for, whatever it is called with.
    """

    UNPUBLISHED = "unpublished"
    FROZEN = "frozen"


def unseen(node: Node) -> bool:
    """The trigger of a defect that no graph shows: of settings, known by its signature alone, of training, or
    of which nobody has said what triggers it."""
    return False


@dataclass(frozen=True)
class MinimalCase:
    """The smallest program that shows a defect.

    `build` gives the module, `inputs(n)` the n-th set of inputs (float32, batch first), to be run at `dtype`. Where
    the defect is expected the case must end in `status` with `signature`, and exactly `wrong_images` of the batch are
    wrong; or, where the host decides, in an error with the signature `or_error`. `workarounds` are those that must
    make this very case pass.
    """

    name: str
    title: str
    build: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Tensor, ...]]
    batch: int
    status: Status
    workarounds: tuple[str, ...]
    signature: str | None = None
    wrong_images: tuple[int, ...] = ()
    or_error: str | None = None
    dtype: str = "float32"


@dataclass(frozen=True, eq=False)
class Defect:
    """A known compiler bug.

    `packages` are the ranges of the packages that have it; one that is present and in its range is enough.
    `hardware` are the families that have it and `dtypes` what has to be asked for, all where they are empty;
    `fixed_in` is the first release without it, SDK or package. A range is open upwards until such a release was seen.
    `history`: reported of compilers before SDK 2.26 alone, not known of later ones, and not expected there.
    `trigger` recognises it in a node of an exported graph; what it does there is either a `fault` (called in
    the node's place, it returns the wrong answer) or a `error_code` (the compiler's code), and it shows in `stage`;
    where neither is known it can be named, and not played. `prevented_by` are workarounds that leave the graph
    alone and switch the bug off from outside; `triggers_with` are other triggers, where one of these is on.
    `evidence` says how sure it is and `seen` what was seen, by whom.
    """

    id: str
    title: str
    known: str
    evidence: Evidence
    seen: str
    links: tuple[str, ...]
    packages: Mapping[str, str]
    trigger: Callable[[Node], bool]
    stage: Stage
    workarounds: tuple[str, ...]
    minimal_cases: tuple[MinimalCase, ...]
    fault: Callable[..., Any] | EmulatedFault | None = None
    error_code: str | None = None
    prevented_by: tuple[str, ...] = ()
    triggers_with: Mapping[str, Callable[[Node], bool]] = field(default_factory=dict)
    hardware: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    fixed_in: str | None = None
    history: bool = False
    _ranges: Mapping[str, SpecifierSet] = field(init=False)

    def __post_init__(self) -> None:
        """Raises InvalidSpecifier for what is no range of versions."""
        ranges = {name: SpecifierSet(versions) for name, versions in self.packages.items()}
        object.__setattr__(self, "_ranges", ranges)

    def triggered_at(self, node: Node, workarounds: tuple[str, ...]) -> bool:
        """Whether a node of an exported graph triggers it, with these workarounds on; not where that depends on a
        size that is not fixed and has no example. A node that no output depends on can only fail to be lowered."""
        trigger = next((self.triggers_with[name] for name in workarounds if name in self.triggers_with), self.trigger)
        try:
            return trigger(node) and (self.stage is Stage.LOWER or reachable(node))
        except RuntimeError as error:
            if type(error).__name__ == "GuardOnDataDependentSymNode":
                return False
            raise

    def affects(
        self,
        packages: Mapping[str, str],
        workarounds: tuple[str, ...],
        hardware: str | None = None,
        dtype: str | None = None,
    ) -> bool:
        """Whether a target of these package versions is known to have it, with these workarounds on; on any
        hardware and at any dtype, or on a family and at one."""
        elsewhere = hardware and self.hardware and hardware not in self.hardware
        unasked = dtype and self.dtypes and dtype not in self.dtypes
        if elsewhere or unasked or set(self.prevented_by) & set(workarounds):
            return False
        return any(
            name in packages and versions.contains(packages[name], prereleases=True)
            for name, versions in self._ranges.items()
        )
