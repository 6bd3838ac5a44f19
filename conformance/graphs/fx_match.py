"""What triggers and minimal cases are written with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from conformance.core.deferred import nn, torch

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def operator(node: Node) -> str:
    """`conv2d` of `aten.conv2d.default`; empty for a node that calls nothing."""
    return str(getattr(node.target, "__name__", "")).partition(".")[0] if node.op == "call_function" else ""


def arguments(node: Node) -> dict[str, Any]:
    """The arguments of an operator by its schema's names, with their defaults."""
    return schema_arguments(node.target, node.args, node.kwargs)


def schema_arguments(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What an operator is given, by its schema's names, with their defaults; nothing for what has no schema."""
    schema = getattr(func, "_schema", None)
    if schema is None:
        return {}
    given = dict(zip((argument.name for argument in schema.arguments), args, strict=False))
    defaults = {argument.name: argument.default_value for argument in schema.arguments}
    return {**defaults, **given, **kwargs}


def calls(function: Callable[..., Any], *constants: Tensor) -> nn.Module:
    """A module that does nothing but call a function, with constants of its own behind the inputs."""

    class Calls(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for number, constant in enumerate(constants):
                self.register_buffer(f"constant{number}", constant)

        def forward(self, *inputs: Tensor) -> Any:
            return function(*inputs, *self.buffers())

    return Calls()


def layer(build: Callable[[], nn.Module]) -> nn.Module:
    """A module with seeded weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


def images(*shape: int) -> Callable[[int], tuple[Tensor, ...]]:
    """Inputs of a minimal case: noise of this shape, from 0 to 1."""

    def inputs(index: int) -> tuple[Tensor, ...]:
        return (torch.rand(shape, generator=torch.Generator().manual_seed(index)),)

    return inputs


def is_constant(node: Node) -> bool:
    """Whether the node of an exported graph is a parameter, a buffer or a constant: by the name that torch.export
    gives it, which an input of a user's own program may have, too."""
    named = node.op == "placeholder" and node.name.startswith(("p_", "b_", "c_")) and not node.meta.get("is_input")
    return node.op == "get_attr" or named


def pair(size: Any) -> tuple[int, int]:
    """One number stands for both dimensions of an image."""
    sizes = [size] if isinstance(size, int) else list(size)
    return sizes[0], sizes[-1]
