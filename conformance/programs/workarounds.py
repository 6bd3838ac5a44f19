"""Ways round a defect: another spelling of the same operation, another layout, or a switch outside the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from conformance.core.deferred import torch
from conformance.core.errors import UserError, check
from conformance.core.loading import collected

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Workaround:
    """`context` makes one in which the module is captured or run, `contiguous` asks that what the module holds is
    contiguous before it is exported, and `variables` are environment variables of the process that compiles.
    `changes` are the operators of a graph that it can change, `split_with_sizes`; any, where none are said."""

    name: str
    title: str
    context: Callable[[], AbstractContextManager[object]] | None = None
    contiguous: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[str, ...] = ()

    @property
    def in_program(self) -> bool:
        """Whether it changes the program, not only the process."""
        return self.context is not None or self.contiguous


def _respelled(name: str) -> AbstractContextManager[object]:
    """A context in which functions of torch are computed by the rewrites of this name."""
    from conformance.programs.rewrites.mode import Respelled
    from conformance.programs.rewrites.tables import TABLES

    return Respelled(TABLES[name])


def _rewrite(name: str, title: str, *changes: str) -> Workaround:
    return Workaround(name, title, context=partial(_respelled, name), changes=changes)


_SPLITS = ("split_with_sizes", "unsafe_split_with_sizes")
_SMOOTH = ("linear1d", "bilinear2d", "trilinear3d", "bicubic2d")
_NEAREST = ("nearest1d", "nearest2d", "nearest3d")
_EXACT = ("nearest_exact1d", "nearest_exact2d", "nearest_exact3d")
_RESIZES = (
    *(f"upsample_{mode}" for mode in (*_SMOOTH, *_NEAREST)),
    *(f"_upsample_{mode}" for mode in (*_EXACT, "bilinear2d_aa", "bicubic2d_aa")),
)

_OWN = (
    _rewrite("slice", "x[:, a:b] instead of x.split([...])", *_SPLITS),
    _rewrite("chunk", "x.chunk(n) instead of x.split([...]), where the pieces are equal", *_SPLITS),
    _rewrite("tensor_split", "x.tensor_split([...]) instead of x.split([...])", *_SPLITS),
    _rewrite(
        "resize",
        "products with constant matrices, or rows that are picked, instead of F.interpolate",
        *_RESIZES,
    ),
    _rewrite(
        "grid_sample",
        "gathers instead of F.grid_sample, bilinear or nearest",
        "grid_sampler",
        "grid_sampler_2d",
        "grid_sampler_3d",
    ),
    _rewrite(
        "max_pool",
        "the largest of shifted slices instead of max-pooling that is dilated or larger than the image",
        "max_pool1d",
        "max_pool2d",
        "max_pool3d",
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
    ),
    _rewrite(
        "adaptive_pool",
        "products, or maxima of rows that are picked, instead of uneven adaptive pooling",
        *(f"adaptive_{kind}_pool{n}d" for kind in ("avg", "max") for n in (1, 2, 3)),
        "_adaptive_avg_pool2d",
        "_adaptive_avg_pool3d",
    ),
    _rewrite(
        "channel_shuffle",
        "view, transpose and reshape instead of channel_shuffle",
        "channel_shuffle",
        "native_channel_shuffle",
    ),
    _rewrite("pixel_unshuffle", "view, permute and reshape instead of pixel_unshuffle", "pixel_unshuffle"),
    _rewrite("unfold", "stacked slices instead of F.unfold and Tensor.unfold", "im2col", "unfold"),
    _rewrite("as_strided", "a gather of the flat tensor instead of as_strided", "as_strided"),
    _rewrite("mask", "torch.where instead of x[mask] = value", "index_put", "index_put_"),
    _rewrite(
        "replicate_pad",
        "slices that are joined instead of F.pad(mode='replicate') of a volume",
        "pad",
        "replication_pad3d",
    ),
    _rewrite(
        "conv_transpose",
        "zeros between the pixels and a plain convolution instead of a transposed one that is depthwise or dilated",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
    ),
    Workaround("contiguous", "x.contiguous() for buffers that are kept as views", contiguous=True),
    Workaround(
        "functionalization",
        "XLA_DISABLE_FUNCTIONALIZATION=0 in the environment that compiles",
        variables={"XLA_DISABLE_FUNCTIONALIZATION": "0"},
    ),
)


WORKAROUNDS: dict[str, Workaround] = collected("workaround", Workaround, _OWN, attrgetter("name"))


def workarounds(*names: str) -> AbstractContextManager[object]:
    """A context in which modules run, and are captured or traced, with these workarounds. Needs torch. Raises
    UserError for a name that is unknown, and for a workaround that no context can switch on."""
    named(names)
    for name in names:
        if WORKAROUNDS[name].context is None and WORKAROUNDS[name].contiguous:
            raise UserError(
                f"workaround {name!r} changes a module, and not how it runs: "
                f"conformance.apply_workarounds(module, {name!r})"
            )
    return rewriting(names)


def named(names: Sequence[str]) -> None:
    """Refuse names of which none is given, one is unknown, or one is a switch of the process alone."""
    if not names:
        raise UserError(f"name a workaround, or several (known: {', '.join(WORKAROUNDS)})")
    for name in names:
        check("workaround", name, WORKAROUNDS)
        if not WORKAROUNDS[name].in_program:
            raise UserError(f"workaround {name!r} is a switch of the process, and nothing in it: set {switch(name)}")


def in_program(names: Sequence[str]) -> tuple[str, ...]:
    """Those that change the program."""
    return tuple(name for name in names if WORKAROUNDS[name].in_program)


def switch(name: str) -> str:
    """What a workaround of the process sets, and when."""
    assignments = " ".join(f"{key}={value}" for key, value in WORKAROUNDS[name].variables.items())
    return f"{assignments} in the environment before torch_xla is imported"


@contextmanager
def rewriting(names: Sequence[str]) -> Iterator[None]:
    """The same for any of them; what is no context is passed over."""
    with ExitStack() as stack:
        for context in contexts(names):
            stack.enter_context(context())
        yield


def contexts(names: Sequence[str]) -> tuple[Callable[[], AbstractContextManager[object]], ...]:
    """What makes the contexts of these workarounds, for those that have one. Raises UserError."""
    found = [WORKAROUNDS[check("workaround", name, WORKAROUNDS)].context for name in names]
    return tuple(context for context in found if context is not None)


def make_contiguous(module: nn.Module, names: tuple[str, ...]) -> None:
    """Do to a module what these workarounds ask for before it is exported. In place."""
    if not any(WORKAROUNDS[name].contiguous for name in names):
        return
    for part in module.modules():
        for held in (vars(part), part._parameters, part._buffers):
            for value in held.values():
                if isinstance(value, torch.Tensor):
                    value.data = value.data.contiguous()


def variables(names: tuple[str, ...]) -> dict[str, str]:
    """The environment variables that these workarounds set."""
    return {key: value for name in names for key, value in WORKAROUNDS[name].variables.items()}
