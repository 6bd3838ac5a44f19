"""A target that computes as eager does but for a fault, which is written in its name: a process that knows the name
knows the fault. A fault belongs to a kernel, an operator with the shape of what it gives: it strikes wherever that is
called, in the whole model and in what is cut out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from conformance.cases.outcome import Stage
from conformance.cases.span import Operator
from conformance.core.store import digest
from conformance.golden.spans import Part
from conformance.programs.program import Program
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Compiled, Options

Class = Literal["operator", "span", "context", "drift", "intermittent"]
How = Literal["gain", "offset", "last image zero", "shifted", "swapped images"]
_CREATES = ("arange", "full", "zeros", "ones", "linspace", "empty", "scalar_tensor", "eye")


class Kernel(BaseModel):
    """An operator and the shape of what it gives; none for one of several results."""

    model_config = ConfigDict(frozen=True)

    target: str
    shape: tuple[int, ...]


class Fault(BaseModel):
    """What is wrong, and when: `after` a kernel whose value it takes (a span), in programs `longer` than so many
    operators or that have the `images` as their input (a context), at every `period`th call. Of drift it is all
    operators, or those with one of the words `of` in their names, by `size`."""

    model_config = ConfigDict(frozen=True)

    of_class: Class
    kernel: Kernel | None = None
    after: Kernel | None = None
    how: How = "gain"
    size: float = 0.02
    longer: int | None = None
    images: bool = False
    period: int | None = None
    of: tuple[str, ...] = ()

    @property
    def spec(self) -> str:
        """What its target is loaded by."""
        return f"{__name__}:fault_{self.model_dump_json(exclude_defaults=True).encode().hex()}"

    def truth(self, operators: Sequence[Operator]) -> list[tuple[int, ...]]:
        """The operators of a model that are to blame, or the pairs of them; none of drift."""
        if self.kernel is None:
            return []
        own = [one.number for one in operators if kernel_of(one) == self.kernel]
        if self.after is None:
            return [(number,) for number in own]
        return [
            (before, number)
            for number in own
            for before in operators[number].takes
            if kernel_of(operators[before]) == self.after
        ]


def kernel_of(operator: Operator) -> Kernel:
    """The kernel that computes an operator."""
    return Kernel(target=operator.target, shape=operator.shape)


def __getattr__(name: str) -> Planted:
    if not name.startswith("fault_"):
        raise AttributeError(name)
    return Planted(Fault.model_validate(json.loads(bytes.fromhex(name.removeprefix("fault_")))))


class Planted(BaseTarget):
    """Computes the graph operator by operator."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.name = f"planted-{digest(fault.model_dump())[:8]}"

    def compile(self, program: Program, options: Options) -> Compiled:
        """Nothing is compiled: a piece is the graph it was cut out as, a model what torch.export captures."""
        options.enter(Stage.CAPTURE)
        module, written = program.module, frozenset[int]()
        if isinstance(module, Part):
            graph, written = module.module, module.written
        else:
            graph = program.exported.module()
        options.enter(Stage.COMPILE)
        calls = 0

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            nonlocal calls
            calls += 1
            taken = [x.clone() if index in written else x for index, x in enumerate(inputs)]
            with torch.no_grad():
                return tuple(Faulty(graph, self.fault, taken, calls).run(*taken))

        return run


class Faulty(Interpreter):
    """Runs a graph, with a fault."""

    def __init__(self, graph: GraphModule, fault: Fault, inputs: Sequence[Any], call: int = 1) -> None:
        super().__init__(graph)
        self.fault = fault
        computed = [node for node in graph.graph.nodes if node.op == "call_function"]
        self.strikes = (
            (fault.longer is None or len(computed) > fault.longer)
            and (not fault.images or any(map(_is_images, inputs)))
            and (fault.period is None or call % fault.period == 0)
        )
        self.kernels: dict[Node, Kernel] = {}

    def run_node(self, n: Node) -> Any:
        """What a node gives, wrong or not."""
        value = super().run_node(n)
        if n.op != "call_function" or not hasattr(n.target, "overloadpacket"):
            return value
        self.kernels[n] = Kernel(target=str(n.target), shape=tuple(value.shape) if isinstance(value, Tensor) else ())
        return _changed(value, self.fault) if self.strikes and self._is_struck(n) else value

    def _is_struck(self, node: Node) -> bool:
        fault, kernel = self.fault, self.kernels[node]
        if fault.kernel is None:
            return not fault.of or any(name in kernel.target for name in fault.of)
        if kernel != fault.kernel:
            return False
        return fault.after is None or fault.after in (self.kernels.get(one) for one in _takes(node))


def _takes(node: Node) -> Iterator[Node]:
    """The operators whose values it takes, also one of several."""
    for one in node.all_input_nodes:
        several = one.op == "call_function" and not hasattr(one.target, "overloadpacket")
        yield one.all_input_nodes[0] if several else one


def _is_images(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() == 4 and value.shape[1] == 3


def _changed(value: Any, fault: Fault) -> Any:
    """A value, or the first of several, as the fault has it; integers and truths as they are."""
    if isinstance(value, tuple | list):
        return type(value)([*(_changed(one, fault) for one in value[:1]), *value[1:]])
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    wrong = _wrong(value, fault)
    return value.copy_(wrong) if fault.kernel and fault.kernel.target.endswith("_.default") else wrong


def _wrong(value: Tensor, fault: Fault) -> Tensor:
    if fault.how == "offset":
        return value + fault.size * value.abs().mean()
    if fault.how == "last image zero" and value.dim():
        return torch.cat([value[:-1], torch.zeros_like(value[-1:])])
    if fault.how == "swapped images" and value.dim():
        return value.flip(0)
    if fault.how == "shifted" and value.dim():
        return value.roll(1, -1)
    return value * (1 + fault.size)


def may_be_struck(operator: Operator) -> bool:
    """Whether it computes something of what the model is given."""
    name = operator.target.split(".")[1] if "." in operator.target else operator.target
    return bool(operator.takes) and not name.startswith(_CREATES)
