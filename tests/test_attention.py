"""Attention: every way to compute it agrees with every other, and what is used is never silently another."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from conformance.models import attention
from conformance.models.area_attention import AreaAttention
from conformance.models.attention import ATTENTIONS, Attend, Backend, choose

# Relative to the largest value: some roundings of the dtype, as sums over tokens and channels have them.
TOLERANCE = {torch.float64: 1e-13, torch.float32: 1e-5, torch.bfloat16: 5e-2}

shapes = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(2, 70), st.sampled_from([8, 32, 64]))
problems = st.tuples(shapes, st.sampled_from(list(TOLERANCE)), st.integers(0, 1000))


def random_qkv(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [(torch.randn(shape, generator=generator, dtype=torch.float64) * 2).to(dtype) for _ in range(3)]


def disagreement(one: Attend, other: Attend, qkv: list[Tensor]) -> float:
    """Their largest difference, in units of the largest value."""
    a, b = (attend(*qkv).double() for attend in (one, other))
    assert a.shape == b.shape == qkv[0].shape
    return float((a - b).abs().max() / b.abs().max())


def kernel(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """What flash_attn_func promises: half precision, (batch, tokens, heads, channels)."""
    assert q.dtype in (torch.float16, torch.bfloat16)
    scores = torch.einsum("bihd,bjhd->bhij", q.double(), k.double()) / q.shape[-1] ** 0.5
    return torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), v.double()).to(q.dtype)


def without_scale(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-2, -1)).softmax(-1) @ v


def over_queries(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    scores: Tensor = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    return scores.softmax(-2) @ v


@settings(max_examples=60, deadline=None)
@given(problem=problems)
def test_math_and_sdpa_agree(problem: tuple[tuple[int, ...], torch.dtype, int]) -> None:
    """Flash is no third on the CPU: it is sdpa there."""
    shape, dtype, seed = problem
    assert disagreement(attention.math, attention.sdpa, random_qkv(shape, dtype, seed)) <= TOLERANCE[dtype]


@pytest.mark.parametrize("wrong", [without_scale, over_queries])
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_a_wrong_attention_does_not_agree(wrong: Attend, dtype: torch.dtype) -> None:
    qkv = random_qkv((2, 2, 16, 32), dtype, 0)
    assert disagreement(wrong, attention.math, qkv) > 2 * TOLERANCE[dtype]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 5e-3), (torch.float16, 5e-3), (torch.bfloat16, 5e-2)]
)
def test_a_flash_kernel_gets_its_own_layout_and_half_precision(dtype: torch.dtype, tolerance: float) -> None:
    qkv = random_qkv((2, 3, 16, 32), dtype, 0)
    given = attention.with_kernel(kernel, *qkv)
    assert given.dtype == dtype
    assert given.shape == qkv[0].shape
    wanted = attention.math(*(x.double() for x in qkv))
    assert (given.double() - wanted).abs().max() / wanted.abs().max() < tolerance


def area_attention(area: int, attend: Attend) -> AreaAttention:
    """Of 2 heads of 4 channels, with the values' positions left out."""
    zero = nn.Conv2d(8, 8, 1)
    assert zero.bias is not None
    nn.init.zeros_(zero.weight)
    nn.init.zeros_(zero.bias)
    module = AreaAttention(nn.Conv2d(8, 24, 1), zero, nn.Identity(), heads=2, area=area, attend=attend)
    return module.double().eval().requires_grad_(False)


def test_attention_stays_within_its_area() -> None:
    """Of four areas of two rows each, a change in the second changes the second, and all of it."""
    module, x = area_attention(4, attention.math), torch.rand(2, 8, 8, 6, dtype=torch.float64)
    changed = x.clone()
    changed[0, :, 3, 5] += 1
    difference = (module(changed) - module(x)).abs().amax(dim=1)
    assert (difference[0, 2:4] > 0).all()
    assert (difference[0, :2] == 0).all()
    assert (difference[0, 4:] == 0).all()
    assert (difference[1] == 0).all()


def test_heads_are_apart() -> None:
    """The channels of a head come from its own queries, keys and values."""
    module, x = area_attention(1, attention.sdpa), torch.rand(1, 8, 4, 4, dtype=torch.float64)
    before = module(x)
    module.get_parameter("qkv.weight")[12:] += 0.5  # the second head's
    changed = (module(x) - before).abs().amax(dim=(0, 2, 3))
    assert (changed[:4] == 0).all()
    assert (changed[4:] > 0).all()


@pytest.mark.parametrize("asked", ["math", "sdpa"])
def test_what_is_asked_for_is_used_and_noted(asked: str) -> None:
    assert choose(asked) == Backend(asked, asked)
    assert choose(asked).note == f"attention: {asked}"
    assert choose(asked).attend is ATTENTIONS[asked]


@pytest.fixture
def a_host_with_flash(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes one; what it lacks is named."""

    def host(
        installed: bool = True, cuda: bool = True, capability: tuple[int, int] = (9, 0), loads: bool = True
    ) -> None:
        monkeypatch.setattr(attention, "find_spec", lambda name: SimpleNamespace() if installed else None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)

        def load(name: str) -> SimpleNamespace:
            if not loads:
                raise ImportError("undefined symbol: _ZN3c10\nand more")
            return SimpleNamespace(flash_attn_func=kernel)

        monkeypatch.setattr(attention, "import_module", load)

    return host


@pytest.mark.parametrize(
    ("lacks", "reason"),
    [
        ({"installed": False}, "flash_attn is not installed"),
        ({"cuda": False}, "there is no CUDA device"),
        ({"capability": (7, 5)}, "the device's compute capability 7.5 is below 8.0"),
        ({"loads": False}, "flash_attn does not load: undefined symbol: _ZN3c10"),
    ],
)
def test_a_fallback_says_why(a_host_with_flash: Callable[..., None], lacks: dict[str, object], reason: str) -> None:
    a_host_with_flash(**lacks)
    backend = choose("flash")
    assert (backend.asked, backend.used, backend.reason) == ("flash", "sdpa", reason)
    assert backend.note == f"attention: flash asked for, sdpa used: {reason}"


def test_flash_is_used_where_it_can_be(a_host_with_flash: Callable[..., None]) -> None:
    a_host_with_flash()
    assert choose("flash") == Backend("flash", "flash")
    assert choose("flash").note.startswith("attention: flash, in half precision")


@pytest.mark.skipif(importlib.util.find_spec("flash_attn") is None, reason="needs flash_attn")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("other", ["math", "sdpa"])
def test_the_kernel_agrees_with_the_others(dtype: torch.dtype, other: str) -> None:
    qkv = [x.cuda() for x in random_qkv((2, 4, 100, 32), dtype, 0)]
    assert disagreement(attention.flash, ATTENTIONS[other], qkv) < TOLERANCE[torch.bfloat16]
