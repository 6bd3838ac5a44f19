"""torch's own database of operators and of what each can be given. What is not public of torch is used here alone."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from conformance.core.errors import UserError


@dataclass(frozen=True)
class Given:
    """An operator as it is called in Python, and what it is given."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def form(self) -> str:
        """What tells this sample from others: ranks, dtypes, and all that is no tensor."""
        return str([_form(leaf) for leaf in tree_leaves((self.args, dict(self.kwargs)))]) + str(sorted(self.kwargs))


def names() -> list[str]:
    """Every operator, `nn.functional.conv2d`; a variant of one behind it."""
    return list(_database())


def takes(name: str, dtype: torch.dtype) -> bool:
    """Whether an operator takes a dtype on the CPU."""
    return dtype in _database()[name].dtypes


def samples(name: str, dtype: torch.dtype, seed: int) -> list[Given]:
    """What an operator can be given, in torch's order; the same structure with other values by another seed."""
    operator = _database()[name]
    with _seeded(seed):
        made = list(operator.sample_inputs("cpu", dtype, set_seed=False))
    return [Given(operator.op, (one.input, *one.args), one.kwargs) for one in made]


@cache
def _database() -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from torch.testing._internal.common_methods_invocations import op_db
    except ImportError as error:
        raise UserError(
            f"the samples of torch's operators need {error.name}: pip install 'neuron-conformance[operators]'"
        ) from None
    return {".".join(filter(None, (one.name, one.variant_test_name))): one for one in op_db}


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = random.getstate()
        torch.manual_seed(seed)
        random.seed(0)  # plain numbers are the same for every seed
        try:
            yield
        finally:
            random.setstate(state)


def _form(leaf: Any) -> str:
    return f"{leaf.dtype}{leaf.dim()}" if isinstance(leaf, torch.Tensor) else repr(leaf)
