"""What is different between two HLO modules, by their text: names, layouts and the order of parameters are not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from conformance.graphs.hlo import INSTRUCTION

EQUAL = "equal"
_MOST = 6  # differences that are named
_COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[\w.-]+) .*\{$")
_LAYOUT = re.compile(r"(?<=\])\{[^}]*\}")
_OPERAND = re.compile(r"%([\w.-]+)")
_CALLED = re.compile(r"(?:to_apply|calls|body|condition|branch_computations|\w+_computation)=(\{[^}]*\}|%[\w.-]+)")
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
_SAID = re.compile(
    r", (?:metadata|backend_config|sharding|frontend_attributes)=\{.*?\}"
)  # no part of what it computes


@dataclass(frozen=True)
class Instruction:
    """One of the entry computation. `operands` are the numbers of others; `attributes` say all else that it does,
    with what it calls written out, and for a constant its value."""

    opcode: str
    shape: str
    attributes: str
    operands: tuple[int, ...]

    @property
    def name(self) -> str:
        """Its opcode; of a custom call also what is called."""
        found = _TARGET.search(self.attributes)
        return f"{self.opcode} {found[1]}" if found else self.opcode

    def __str__(self) -> str:
        operands = ", ".join(map(str, self.operands))
        return f"{self.opcode}({operands}) {self.shape} {self.attributes}".rstrip()


def canonical(text: str) -> tuple[Instruction, ...]:
    """What the entry of a module computes: each instruction after those that it reads, from the root on. Raises
    ValueError where there is no entry."""
    bodies = dict(_computations(text))
    entry = next((name for name in bodies if name.startswith("ENTRY ")), None)
    if entry is None:
        raise ValueError("there is no ENTRY: this is no text of an HLO module")
    return tuple(_from_root(bodies[entry], bodies, ordered=False))


def difference(given: str, expected: str) -> str:
    """`equal`, or what the one that is given has and lacks beside the one expected: operators, else shapes, else
    constants and attributes, else how they are connected. Raises ValueError for what is no HLO."""
    mine, theirs = canonical(given), canonical(expected)
    if mine == theirs:
        return EQUAL
    levels: tuple[Callable[[Instruction], str], ...] = (
        lambda one: one.name,
        lambda one: f"{one.name} {one.shape}",
        lambda one: f"{one.name} {one.shape} {one.attributes}".rstrip(),
    )
    for told in levels:
        ours, others = (Counter(map(told, side)) for side in (mine, theirs))
        if ours != others:
            sides = (("has", ours - others), ("lacks", others - ours))
            return ", ".join(f"{verb} {_named(only)}" for verb, only in sides if only)
    return "the same operators, connected in another way"


def _named(found: Counter[str]) -> str:
    """`3 custom-call AwsNeuronSilu, 1 tanh and 2 more`."""
    named = [f"{count} {name}" for name, count in found.most_common(_MOST)]
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"{', '.join(named)}{more}"


def _computations(text: str) -> Iterator[tuple[str, dict[str, re.Match[str]]]]:
    """The instructions of each computation by name; the entry's own name begins with `ENTRY `."""
    name, found = "", dict[str, re.Match[str]]()
    for line in text.splitlines():
        if (head := _COMPUTATION.match(line)) is not None and " = " not in line.partition("{")[0]:
            name, found = (head["entry"] or "") + head["name"], {}
        elif line.startswith("}") and name:
            yield name, found
            name = ""
        elif name and (instruction := INSTRUCTION.match(line)) is not None:
            found[instruction["name"]] = instruction


def _from_root(
    body: Mapping[str, re.Match[str]], bodies: Mapping[str, Mapping[str, re.Match[str]]], ordered: bool = True
) -> list[Instruction]:
    """The instructions that the root depends on, it last; `ordered`: which parameter is which counts. Not recursive:
    a network is thousands deep."""
    number: dict[str, int] = {}
    found: list[Instruction] = []
    waiting = [name for name, one in body.items() if one["root"]]
    while waiting:
        name = waiting[-1]
        operands, rest = _parts(body[name]["rest"])
        read = [one for one in _OPERAND.findall(operands) if one in body]
        if missing := [one for one in read if one not in number]:
            waiting.extend(reversed(missing))
            continue
        waiting.pop()
        if name in number:
            continue
        said = _CALLED.sub(lambda called: _written_out(called[1], bodies), _SAID.sub("", rest)).strip(", ")
        opcode = body[name]["opcode"]
        if opcode == "constant" or (opcode == "parameter" and ordered):
            said = f"{operands} {said}".strip()
        number[name] = len(found)
        shape = _LAYOUT.sub("", body[name]["type"])
        found.append(Instruction(opcode, shape, said, tuple(number[one] for one in read)))
    return found


def _written_out(called: str, bodies: Mapping[str, Mapping[str, re.Match[str]]]) -> str:
    """The computations that an instruction calls, by what they do."""
    return "; ".join(
        str(one) for name in _OPERAND.findall(called) if name in bodies for one in _from_root(bodies[name], bodies)
    )


def _parts(rest: str) -> tuple[str, str]:
    """What stands within the parentheses of an instruction, and what behind them."""
    depth = 1
    for place, character in enumerate(rest):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if not depth:
            return rest[:place], rest[place + 1 :]
    return rest, ""
