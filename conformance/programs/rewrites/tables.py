"""The rewrites of each workaround, by its name."""

from __future__ import annotations

from conformance.programs.rewrites import (
    adaptive,
    masks,
    padding,
    pooling,
    resize,
    sampling,
    shuffles,
    strided,
    transposed,
    windows,
)
from conformance.programs.rewrites.mode import Rewrites
from conformance.programs.rewrites.splits import SPELLINGS, splits

TABLES: dict[str, Rewrites] = {
    **{spelling: splits(spelling) for spelling in SPELLINGS},
    "resize": resize.REWRITES,
    "grid_sample": sampling.REWRITES,
    "max_pool": pooling.REWRITES,
    "adaptive_pool": adaptive.REWRITES,
    "channel_shuffle": shuffles.SHUFFLE,
    "pixel_unshuffle": shuffles.UNSHUFFLE,
    "unfold": windows.REWRITES,
    "as_strided": strided.REWRITES,
    "mask": masks.REWRITES,
    "replicate_pad": padding.REWRITES,
    "conv_transpose": transposed.REWRITES,
}
