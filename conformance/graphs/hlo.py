"""The graph of an HLO module, from the text that torch-xla gives."""

from __future__ import annotations

import re
from collections.abc import Mapping

from conformance.graphs.graph import Graph, Kind, Operator, Shape

INSTRUCTION = re.compile(
    r"^\s*(?P<root>ROOT )?%?(?P<name>[\w.-]+) = (?P<type>\(.*?\)|\S+) (?P<opcode>[\w-]+)\((?P<rest>.*)$"
)
_OPERAND = re.compile(r"(?<=[ (])%([\w.-]+)")
_ORIGIN = re.compile(r'op_type="(?P<operator>[^"]*)" op_name="(?:(?P<scope>[^"#]*)#(?P<call>\d+)#)?')
_WHOLE = re.compile(r"[su]\d")
_DIMENSIONS = re.compile(r"\[([\d,]*)\]")
_KINDS = {"convolution": Kind.CONV, "dot": Kind.MATMUL, "sort": Kind.TOPK, "topk": Kind.TOPK}


def from_hlo(text: str, inputs: Mapping[int, int]) -> Graph:
    """The graph of a module's entry. `inputs` are the indices of the program's inputs by parameter number; all other
    parameters are constants. An instruction's name in its metadata is expected to begin with `SCOPE#CALL#`, the
    module and the running number of the operator of torch that it belongs to."""
    entry = text[text.index("\nENTRY ") :]
    found = [match for line in entry.splitlines() if (match := INSTRUCTION.match(line))]
    reader = _Reader({match["name"]: match for match in found})
    root = next(match for match in found if match["root"])
    names: dict[int, str] = {}
    constants = {}
    for match in found:
        number = int(match["rest"].partition(")")[0]) if match["opcode"] == "parameter" else -1
        if number in inputs:
            names[inputs[number]] = match["name"]
        elif match["opcode"] in ("parameter", "constant") and not _WHOLE.match(match["type"]):
            constants[match["name"]] = _shape(match["type"])
    return Graph(
        operators=tuple(reader.operator(match) for match in found if match["opcode"] != "parameter"),
        inputs=tuple(names.get(index, f"unused input {index}") for index in sorted(inputs.values())),
        outputs=reader.operands(root) if root["opcode"] == "tuple" else (root["name"],),
        constants=constants,
    )


class _Reader:
    """The instructions of an entry by name."""

    def __init__(self, instructions: Mapping[str, re.Match[str]]) -> None:
        self._instructions = instructions
        self._resizes = set(self._standing().values())

    def operands(self, instruction: re.Match[str]) -> tuple[str, ...]:
        """The names of what an instruction reads."""
        return tuple(_OPERAND.findall(f" {instruction['rest']}".partition(", metadata=")[0]))

    def operator(self, instruction: re.Match[str]) -> Operator:
        """One instruction."""
        origin = _ORIGIN.search(instruction["rest"])
        scope = origin["scope"] if origin else None
        kind = _KINDS.get(instruction["opcode"])
        if origin and "upsample" in origin["operator"]:  # is many instructions, a product of matrices among them
            kind = Kind.RESIZE if instruction["name"] in self._resizes else None
        elif self._exponential_of_differences(instruction):
            kind = Kind.SOFTMAX
        return Operator(kind, scope, self.operands(instruction), (instruction["name"],))

    def _standing(self) -> dict[str, str]:
        """The instruction that stands for each call of a resize: its gather, or its last where there is one row alone
        and it has none."""
        found: dict[str, re.Match[str]] = {}
        for instruction in self._instructions.values():
            origin = _ORIGIN.search(instruction["rest"])
            if origin and "upsample" in origin["operator"] and instruction["opcode"] != "constant":
                before = found.get(origin[0])
                found[origin[0]] = before if before and before["opcode"] == "gather" else instruction
        return {call: instruction["name"] for call, instruction in found.items()}

    def _exponential_of_differences(self, instruction: re.Match[str]) -> bool:
        """Whether it is `exp(x - max(x))`, the heart of a softmax."""
        if instruction["opcode"] != "exponential":
            return False
        (difference,) = self.operands(instruction)
        if (found := self._of(difference, "subtract")) is None:
            return False
        subtracted = self.operands(found)[1]
        while (spread := self._of(subtracted, "broadcast", "reshape", "convert")) is not None:
            subtracted = self.operands(spread)[0]
        return self._of(subtracted, "reduce") is not None

    def _of(self, name: str, *opcodes: str) -> re.Match[str] | None:
        found = self._instructions.get(name)
        return found if found is not None and found["opcode"] in opcodes else None


def _shape(text: str) -> Shape:
    found = _DIMENSIONS.search(text)
    return tuple(int(part) for part in found[1].split(",")) if found and found[1] else ()
