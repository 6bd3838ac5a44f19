"""The kinds of faults: at which sites each can be, and what it does there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from random import Random

from benchmarks.power import corruptions as wrong
from benchmarks.power import operators
from benchmarks.power.edits import Edit, Fault, after, stale
from benchmarks.power.sites import Site

At = Callable[[Site, Random], Fault | None]
SHARE_DAMPED = 0.55


@dataclass(frozen=True)
class Kind:
    """A kind of fault. `at` draws one at a site, None where there can be none.

    `keeps` says that it keeps something from call to call; `warmed_with_same`, that the program has met the images
    that are compared before, and nothing else: such faults are listed apart. `dtypes` are those at which it is a
    fault, all where it is empty.
    """

    name: str
    at: At
    keeps: bool = False
    warmed_with_same: bool = False
    dtypes: tuple[str, ...] = ()


def _zeroed_scores(site: Site, random: Random) -> Fault | None:
    if site.scores is None or site.shape is None:
        return None
    whole = _scores(site)
    which = random.choice(("all", "class", "image", "cells"))
    if which == "all":
        return Fault("of every class", after(wrong.zeroed, whole))
    place = {"class": site.scores.dim, "image": 0, "cells": -1}[which] % len(whole)
    start, stop = whole[place]
    width = 1 if which != "cells" else (stop - start) // 3
    first = random.randrange(start, stop - width + 1)
    bounds = tuple((first, first + width) if i == place else extent for i, extent in enumerate(whole))
    return Fault(f"of {which} {first}" + (f" to {first + width}" * (which == "cells")), after(wrong.zeroed, bounds))


def _damped_objects(site: Site, random: Random) -> Fault | None:
    if site.scores is None or site.shape is None:
        return None
    dim = site.scores.dim
    start, stop = _scores(site)[dim]
    factor, seed = random.choice((0.1, 0.3, 0.5, 0.9)), random.randrange(10**6)
    edit = after(wrong.damped, dim, start, stop, SHARE_DAMPED, factor, seed)
    return Fault(f"scores times {factor} at a share of {SHARE_DAMPED} of the cells (seed {seed})", edit)


def _scores(site: Site) -> tuple[tuple[int, int], ...]:
    """Where the scores are: start and stop in every dimension."""
    assert site.scores is not None
    assert site.shape is not None
    start, stop, _ = slice(site.scores.start, site.scores.stop).indices(site.shape[site.scores.dim])
    return tuple((start, stop) if i == site.scores.dim else (0, extent) for i, extent in enumerate(site.shape))


def _one_image(site: Site, random: Random) -> Fault | None:
    if not _batched(site):
        return None
    image, source = random.sample(range(_shape(site)[0]), 2)
    return Fault(f"image {image} is image {source}", after(wrong.image_copied, image, source))


def _image_order(site: Site, random: Random) -> Fault | None:
    return Fault("images in reverse order", after(wrong.images_reversed)) if _batched(site) else None


def _swapped_channels(site: Site, random: Random) -> Fault | None:
    channels = _shape(site)[1] if len(_shape(site)) > 2 else 0
    if channels < 2:
        return None
    width = random.choice([w for w in (1, channels // 4, channels // 2) if w])
    first = random.randrange(channels - 2 * width + 1)
    second = random.randrange(first + width, channels - width + 1)
    detail = f"{width} channels from {first} and from {second}"
    return Fault(detail, after(wrong.channels_swapped, first, second, width))


def _off_by_one(site: Site, random: Random) -> Fault | None:
    dims = [dim for dim, extent in enumerate(_shape(site)) if dim and extent > 1]
    if not dims:
        return None
    dim, by = random.choice(dims), random.choice((-1, 1))
    return Fault(f"{by:+d} along dimension {dim}", after(wrong.shifted, dim, by))


def _tile(site: Site, random: Random) -> Fault | None:
    """A quarter of the height and of the width, in one image: of one channel or of all."""
    shape = _shape(site)
    if len(shape) != 4 or not site.batched or min(shape[2:]) < 4:
        return None
    image = random.randrange(shape[0])
    channel = random.choice((None, random.randrange(shape[1])))
    bounds = [(image, image + 1), (0, shape[1]) if channel is None else (channel, channel + 1)]
    for extent in shape[2:]:
        start = random.randrange(extent - extent // 4 + 1)
        bounds.append((start, start + extent // 4))
    where = "all channels" if channel is None else f"channel {channel}"
    detail = f"zeros in image {image}, {where}, rows {bounds[2]}, columns {bounds[3]}"
    return Fault(detail, after(wrong.zeroed, tuple(bounds)))


def _cell(value: float) -> At:
    def at(site: Site, random: Random) -> Fault | None:
        if not site.size:
            return None
        place = random.randrange(site.size)
        return Fault(f"value {place} of {site.size} is {value}", after(wrong.replaced, place, value))

    return at


def _gain(factor: float) -> At:
    return lambda site, random: Fault(f"times {factor}", after(wrong.scaled, factor)) if site.size else None


def _stale(site: Site, random: Random) -> Fault | None:
    edit: Edit = stale
    return Fault("that of the call before", edit) if site.size else None


def _shape(site: Site) -> tuple[int, ...]:
    return site.shape or ()


def _batched(site: Site) -> bool:
    return site.batched and _shape(site)[0] > 1


KINDS = (
    Kind("zeroed scores", _zeroed_scores),
    Kind("55 % of objects damped", _damped_objects),
    Kind("one image of the batch", _one_image),
    Kind("image order swapped", _image_order),
    Kind("channels swapped", _swapped_channels),
    Kind("off-by-one slice", _off_by_one),
    Kind("one tile of the feature map", _tile),
    Kind("NaN in one cell", _cell(nan)),
    Kind("one value zeroed", _cell(0.0)),
    Kind("1 % gain", _gain(1.01)),
    Kind("0.1 % gain", _gain(1.001)),
    Kind("bf16 where fp32 was asked", operators.bfloat16, dtypes=("float32",)),  # else it is what was asked
    Kind("dense-stride split", operators.dense_split),
    Kind("transpose without strides", operators.dense_transpose),
    Kind("dropped residual", operators.dropped_residual),
    Kind("dropped operator", operators.dropped_operator),
    Kind("dropped bias", operators.dropped_bias),
    Kind("wrong order of concatenation", operators.concatenation),
    Kind("wrong upsample", operators.upsample),
    Kind("missing scale in attention", operators.attention_scale),
    Kind("softmax over the wrong axis", operators.softmax_axis),
    Kind("stale output", _stale, keeps=True),
    Kind("stale output, warmed with the same images", _stale, keeps=True, warmed_with_same=True),
)


def kinds_at(dtype: str) -> tuple[Kind, ...]:
    """The kinds that are faults at a dtype."""
    return tuple(kind for kind in KINDS if not kind.dtypes or dtype in kind.dtypes)


BY_NAME = {kind.name: kind for kind in KINDS}
