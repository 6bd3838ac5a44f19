"""Distances between an answer and its reference, image by image: float64 matrices of (images, values)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def by_image(tensors: Sequence[Tensor], images: int | None = None) -> Tensor:
    """Tensors as one (images, values) float64 matrix; by default there are as many images as the first has rows.

    A complex number is two values. What is not batch first, as a scalar or a table of positions is not, counts whole
    for every image.
    """
    if images is None:
        images = len(tensors[0]) if tensors[0].dim() else 1
    return torch.cat([_rows(tensor, images) for tensor in tensors], dim=1)


def _rows(tensor: Tensor, images: int) -> Tensor:
    tensor = torch.view_as_real(tensor.to(torch.complex128)) if tensor.is_complex() else tensor.double()
    if tensor.dim() and len(tensor) and len(tensor) % images == 0:
        return tensor.reshape(images, tensor.numel() // images)
    return tensor.reshape(1, -1).expand(images, -1)


def rel_l2(answer: Tensor, reference: Tensor) -> Tensor:
    """`|answer - reference| / |reference|` of each row, in the Euclidean norm.

    Where the reference is all zero, zeros are right (0) and anything else is infinitely wrong. An infinity or a NaN
    is right where the reference has the same, as a mask has.
    """
    answer, reference = _without_equal_infinities(answer, reference)
    return _relative((answer - reference).norm(dim=1), reference.norm(dim=1))


def rel_peak(answer: Tensor, reference: Tensor) -> Tensor:
    """The largest error of each row over its largest value: what is wrong in one place alone."""
    if not answer.shape[1]:
        return answer.new_zeros(len(answer))
    answer, reference = _without_equal_infinities(answer, reference)
    return _relative((answer - reference).abs().amax(dim=1), reference.abs().amax(dim=1))


def rel_gain(answer: Tensor, reference: Tensor) -> Tensor:
    """By which share all of each row is too large or too small: its error along the reference. Rounding has none."""
    answer, reference = _without_equal_infinities(answer, reference)
    return _relative(((answer - reference) * reference).sum(dim=1).abs(), reference.square().sum(dim=1))


def _without_equal_infinities(answer: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Both with zeros where both have the same infinity, or NaN."""
    if reference.sum().isfinite():  # then all of it is, and that is seen in a tenth of the time
        return answer, reference
    alike = ~reference.isfinite() & ((answer == reference) | (answer.isnan() & reference.isnan()))
    return answer.masked_fill(alike, 0), reference.masked_fill(alike, 0)


def _relative(error: Tensor, size: Tensor) -> Tensor:
    return torch.where(size > 0, error / size, torch.where(error == 0, 0.0, torch.inf))


# What errors are measured by. The gain of what has gone through a whole network is no measure: compilers that are
# right differ in it sixfold.
MEASURES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"L2": rel_l2, "peak": rel_peak, "gain": rel_gain}
OF_WHOLE = ("L2", "peak")
OF_ALONE = ("L2", "peak", "gain")


def cosine(answer: Tensor, reference: Tensor) -> Tensor:
    """Cosine similarity of each row; 1 for two rows of zeros, 0 for one."""
    answer, reference = _without_equal_infinities(answer, reference)
    sizes = answer.norm(dim=1) * reference.norm(dim=1)
    both_zero = (answer == reference).all(dim=1)
    return torch.where(sizes > 0, (answer * reference).sum(dim=1) / sizes, both_zero.double())


def sqnr_db(rel: float) -> float:
    """Signal to quantisation error ratio in dB, `-20 log10` of a relative error."""
    return float(-20 * torch.tensor(rel, dtype=torch.float64).log10())
