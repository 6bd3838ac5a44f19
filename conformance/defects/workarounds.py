"""Ways round a defect: another spelling of the same operation, or a switch outside the program."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Workaround:
    """`rewrite` names the spelling that replaces a split into sizes while the module is captured or run;
    `variables` are environment variables of the process that compiles."""

    name: str
    title: str
    rewrite: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


WORKAROUNDS: dict[str, Workaround] = {
    workaround.name: workaround
    for workaround in (
        Workaround("slice", "x[:, a:b] instead of x.split([...])", rewrite="slice"),
        Workaround("chunk", "x.chunk(n) instead of x.split([...]), where the pieces are equal", rewrite="chunk"),
        Workaround("tensor_split", "x.tensor_split([...]) instead of x.split([...])", rewrite="tensor_split"),
        Workaround(
            "functionalization",
            "XLA_DISABLE_FUNCTIONALIZATION=0 in the environment that compiles",
            variables={"XLA_DISABLE_FUNCTIONALIZATION": "0"},
        ),
    )
}


def rewriting(names: tuple[str, ...]) -> AbstractContextManager[object]:
    """A context in which modules run with these workarounds' spellings. Needs torch."""
    stack = ExitStack()
    for name in names:
        if (spelling := WORKAROUNDS[name].rewrite) is not None:
            from conformance.defects.rewrites import SplitAs

            stack.enter_context(SplitAs(spelling))
    return stack


def variables(names: tuple[str, ...]) -> dict[str, str]:
    """The environment variables that these workarounds set."""
    return {key: value for name in names for key, value in WORKAROUNDS[name].variables.items()}
