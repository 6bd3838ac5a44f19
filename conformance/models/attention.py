"""Attention in three spellings, and which of them a model gets that asks for one.

A fallback is never silent: code that takes the fast kernel where it finds one and another where it does not
gives programs of other operators, and of another precision, under the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

# Takes queries, keys and values, each (batch, heads, tokens, channels); gives the same shape.
Attend = Callable[[Tensor, Tensor, Tensor], Tensor]

_OLDEST = (8, 0)  # Ampere: the compute capability that flash_attn 2 needs


def math(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Matmul, softmax, matmul."""
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    return scores.softmax(dim=-1) @ v  # type: ignore[no-any-return]


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's own operator."""
    return scaled_dot_product_attention(q, k, v)


def flash(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The kernel of flash_attn, which knows half precision only, so that float32 is cast; `sdpa` on the CPU."""
    if not q.is_cuda:
        return sdpa(q, k, v)  # the reference is computed there
    return with_kernel(import_module("flash_attn").flash_attn_func, q, k, v)


def with_kernel(kernel: Attend, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention by a kernel of flash_attn's form: half precision, (batch, tokens, heads, channels)."""
    dtype = q.dtype if q.dtype in (torch.float16, torch.bfloat16) else torch.float16
    given = (x.transpose(1, 2).to(dtype) for x in (q, k, v))
    return kernel(*given).transpose(1, 2).to(q.dtype)


ATTENTIONS: dict[str, Attend] = {"math": math, "sdpa": sdpa, "flash": flash}


@dataclass(frozen=True)
class Backend:
    """The attention that is used, and why it is not the one that was asked for; None where it is."""

    asked: str
    used: str
    reason: str | None = None

    @property
    def attend(self) -> Attend:
        """The function."""
        return ATTENTIONS[self.used]

    @property
    def note(self) -> str:
        """One line for the record."""
        if self.reason:
            return f"attention: {self.asked} asked for, {self.used} used: {self.reason}"
        halved = ", in half precision whatever the case's dtype; sdpa on the CPU" if self.used == "flash" else ""
        return f"attention: {self.used}{halved}"


def choose(asked: str) -> Backend:
    """The attention of this name or, where flash is asked for and cannot be had, sdpa. Raises KeyError."""
    reason = _no_flash() if asked == "flash" else None
    used = "sdpa" if reason else asked
    ATTENTIONS[used]
    return Backend(asked, used, reason)


def _no_flash() -> str | None:
    """Why flash_attn's kernel cannot run here."""
    if find_spec("flash_attn") is None:
        return "flash_attn is not installed"
    if not torch.cuda.is_available():
        return "there is no CUDA device"
    if (capability := torch.cuda.get_device_capability()) < _OLDEST:
        return "the device's compute capability {}.{} is below {}.{}".format(*capability, *_OLDEST)
    try:
        import_module("flash_attn")
    except ImportError as error:
        return f"flash_attn does not load: {str(error).partition(chr(10))[0]}"
    return None
