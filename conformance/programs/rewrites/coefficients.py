"""What a new row of a resized or pooled image is made of: numbers that the sizes alone decide.

They are computed by the rules of PyTorch's kernels (aten/src/ATen/native/UpSample.h), in Python, so that a graph has
them as constants however it is captured.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence

Matrix = tuple[tuple[float, ...], ...]  # a row for each new row, with the weight of each old one


def step(before: int, after: int, factor: float | None, corners: bool) -> float:
    """How many old rows a new one is apart from the next; `factor` is what was given instead of a size."""
    if corners:
        return (before - 1) / (after - 1) if after > 1 else 0.0
    return 1 / factor if factor else before / after


def nearest(before: int, after: int, factor: float | None, exact: bool, single: bool) -> list[int]:
    """The old row that each new one is. `single`: computed in float32, as PyTorch does for all but float64. Where a
    place is nearly a whole number its rounding decides, and PyTorch rounds every one to float32 at the end."""
    if not exact and after in (before, 2 * before):
        return [i * before // after for i in range(after)]  # whatever the factor
    rounded = _to_float32 if single else float
    apart = rounded(step(before, after, factor, corners=False))
    if exact:
        places = [rounded(max(rounded(rounded(apart * (i + 0.5)) - 0.5), 0.0) + 0.5) for i in range(after)]
    else:
        places = [apart * i for i in range(after)]
    return [min(int(_to_float32(place)), before - 1) for place in places]


def _to_float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


def linear(before: int, after: int, factor: float | None, corners: bool) -> Matrix:
    """The two nearest rows, by how near they are."""
    rows = []
    for place in _places(before, after, factor, corners):
        place = max(place, 0.0)
        first = min(int(place), before - 1)
        rows.append(_row(before, first, (1 - (place - first), place - first)))
    return tuple(rows)


def cubic(before: int, after: int, factor: float | None, corners: bool) -> Matrix:
    """The four nearest rows, by Keys' cubic with a = -0.75."""
    rows = []
    for place in _places(before, after, factor, corners):
        first = math.floor(place)
        rows.append(_row(before, first - 1, [_keys(place - first + 1 - tap, -0.75) for tap in range(4)]))
    return tuple(rows)


def antialiased(before: int, after: int, factor: float | None, corners: bool, is_cubic: bool) -> Matrix:
    """All rows that a new one covers, by a filter that is as wide, as Pillow resizes."""
    apart = step(before, after, factor, corners)
    stretched = max(apart, 1.0)
    support = (2 if is_cubic else 1) * stretched
    weigh: Callable[[float], float] = (lambda x: _keys(x, -0.5)) if is_cubic else (lambda x: max(1 - abs(x), 0.0))
    rows = []
    for i in range(after):
        center = apart * (i + 0.5)
        first, last = max(int(center - support + 0.5), 0), min(int(center + support + 0.5), before)
        weights = [weigh((j - center + 0.5) / stretched) for j in range(first, last)]
        total = sum(weights)
        rows.append(_row(before, first, [weight / total for weight in weights]))
    return tuple(rows)


def averaged(before: int, after: int) -> Matrix:
    """The mean of the rows of each adaptive window."""
    return tuple(_row(before, rows[0], [1 / len(rows)] * len(rows)) for rows in windows(before, after))


def windows(before: int, after: int) -> list[range]:
    """The old rows in the window of each new one, as adaptive pooling cuts them."""
    return [range(i * before // after, -(-(i + 1) * before // after)) for i in range(after)]


def _places(before: int, after: int, factor: float | None, corners: bool) -> list[float]:
    """Where each new row lies among the old ones."""
    apart = step(before, after, factor, corners)
    return [i * apart if corners else (i + 0.5) * apart - 0.5 for i in range(after)]


def _keys(x: float, a: float) -> float:
    """Keys' cubic at a distance."""
    x = abs(x)
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0


def _row(before: int, first: int, weights: Sequence[float]) -> tuple[float, ...]:
    """A row of a matrix: weights from one place on; what lies outside is the border."""
    row = [0.0] * before
    for place, weight in enumerate(weights, first):
        row[min(max(place, 0), before - 1)] += weight
    return tuple(row)
