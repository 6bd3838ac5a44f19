"""The operators that a device is handed: what is left when torch has written all that it writes in others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch
from torch import DispatchKey, Tensor
from torch._guards import detect_fake_mode
from torch._ops import OpOverload
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from conformance.graphs.kinds import gives_shape_alone

Written = Callable[[Any, Any, Any], None]  # takes an operator, its arguments and its keyword arguments


class Dependent:
    """The tensors that depend on some inputs, known by their memory, which a view shares."""

    def __init__(self, inputs: Iterable[Tensor] = ()) -> None:
        self._known: dict[int, StorageWeakRef] = {}  # the references keep addresses from being used again
        self.add(inputs)

    def add(self, values: Iterable[Tensor]) -> None:
        """These depend on them, too."""
        self._known.update((_memory(x), StorageWeakRef(x.untyped_storage())) for x in values)  # type: ignore[no-untyped-call]

    def has(self, values: Iterable[Tensor]) -> bool:
        """Whether one of these does."""
        return any(_memory(x) in self._known for x in values)


@contextmanager
def written_down(write: Written, dependent: Dependent | None = None) -> Iterator[None]:
    """While inside, every operator is told before it runs, and what it gives is dependent where what it reads is.
    Attention is left to its parts: the kernel that the CPU has for it is no operator of other devices."""
    known = dependent or Dependent()

    class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            write(func, args, kwargs)
            given = tensors_in((args, kwargs))
            depends = known.has(given[1:] if gives_shape_alone(func._schema.name) else given)
            results = func(*args, **kwargs)
            if depends:
                known.add(tensors_in(results))
            return results

    with sdpa_kernel(SDPBackend.MATH), Mode():  # type: ignore[no-untyped-call]
        yield


def is_composite(func: Any) -> bool:
    """Whether torch writes an operator in others, on any device that has nothing of its own for it."""
    return isinstance(func, OpOverload) and func.has_kernel_for_dispatch_key(DispatchKey.CompositeImplicitAutograd)


def tell_parts(func: Any, args: Any, kwargs: Any, write: Written, dependent: Dependent) -> None:
    """Tell the operators that one of torch's is written in, which is given fake tensors."""
    with ExitStack() as inside:
        if (mode := detect_fake_mode((args, kwargs))) is not None:
            inside.enter_context(mode)
            if mode.shape_env is not None:
                inside.enter_context(mode.shape_env.ignore_fresh_unbacked_symbols())
        inside.enter_context(torch.no_grad())
        inside.enter_context(written_down(write, dependent))
        with suppress(Exception):  # of what depends on values, which there are none of; it was told before
            func(*args, **kwargs)


def tensors_in(value: Any) -> list[Tensor]:
    """Those in any nesting of lists and dicts."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
