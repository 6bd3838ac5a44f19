"""Real defects within something larger: the minimal cases of the catalogue, with operators before and behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor, nn

from conformance.cases.span import Operator
from conformance.defects.catalogue import DEFECTS
from conformance.targets.loading import load_target
from conformance.targets.protocol import Target

TARGETS = ("openvino", "onnxruntime", "inductor", "xla")
_FACTORY = "case_"


class Around(nn.Module):
    """A module between operators that change nothing."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the inner module gives."""
        found = self.inner(*(_twice(x) for x in inputs))
        return tuple(_twice(x) for x in ([found] if isinstance(found, Tensor) else found))


def _twice(x: Tensor) -> Tensor:
    """The same by four operators."""
    return x.neg().neg().neg().neg() if x.is_floating_point() else x


def __getattr__(name: str) -> Callable[[], tuple[nn.Module, Callable[[int], tuple[Tensor, ...]]]]:
    if not name.startswith(_FACTORY):
        raise AttributeError(name)
    defect, case = bytes.fromhex(name.removeprefix(_FACTORY)).decode().split(":")
    minimal = next(one for one in DEFECTS[defect].minimal_cases if one.name == case)
    return lambda: (Around(minimal.build()), minimal.inputs)


def cases(target: Target) -> Iterator[tuple[str, str]]:
    """The minimal cases in float32 of the defects that a target of this machine is known to have: name and model."""
    packages = target.packages("cpu", None)
    for defect in DEFECTS.values():
        if defect.affects(packages, (), dtype="float32"):
            for minimal in defect.minimal_cases:
                if minimal.dtype == "float32":
                    name = f"{defect.id}:{minimal.name}"
                    yield name, f"{__name__}:{_FACTORY}{name.encode().hex()}"


def targets() -> list[str]:
    """Those that can be used here."""
    return [name for name in TARGETS if load_target(name).missing() is None]


def truth(operators: Sequence[Operator]) -> list[tuple[int, ...]]:
    """The operators of the inner module, each of which may be to blame."""
    return [(one.number,) for one in operators if one.module.startswith("inner")]
