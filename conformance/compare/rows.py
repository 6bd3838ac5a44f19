"""Outputs that are sets of ranked detections: neither the order of near ties nor which of them is the last is an
error. Each is (batch, rows, values), the values being four of a box, a score and others."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

SCORE = 4


def align_rows(answer: Tensor, reference: Tensor) -> Tensor:
    """The answer, with the rows of each image in the order of the reference's.

    Rows are matched one to one so that the sum of their distances is smallest, each value measured by its spread
    over the reference. Where the shapes differ there is nothing to match, and the answer is given back.
    """
    if answer.shape != reference.shape or not answer.numel():
        return answer
    return torch.stack([image[_order(image, wanted)] for image, wanted in zip(answer, reference, strict=True)])


def without_ties(aligned: Tensor, reference: Tensor) -> Tensor:
    """The aligned answer, with rows of the reference, but for their scores, where the ranking leaves open which of
    several candidates is the last row: where both scores are as near to the lowest one as scores differ at all.

    The scores themselves are compared, so that an answer whose scores differ too much does not hide behind that; and
    where most rows are open, all are compared.
    """
    if aligned.shape != reference.shape or aligned.dim() != 3 or aligned.shape[2] <= SCORE:
        return aligned
    given, wanted = aligned[..., SCORE].double(), reference[..., SCORE].double()
    differ = (given.sort().values - wanted.sort().values).abs().amax(-1, keepdim=True)
    highest = wanted.amin(-1, keepdim=True) + 2 * differ
    open_ = (given <= highest) & (wanted <= highest)
    open_ &= open_.sum(-1, keepdim=True) * 2 <= open_.shape[-1]
    closed = torch.where(open_[..., None], reference.to(aligned.dtype), aligned)
    closed[..., SCORE] = aligned[..., SCORE]
    return closed


def _order(answer: Tensor, reference: Tensor) -> Tensor:
    """For each row of the reference, the index of the answer's row that is matched with it."""
    spread = reference.double().std(dim=0).clamp_min(1e-12)
    distances = torch.cdist(reference.double() / spread, answer.double() / spread)
    distances = distances.nan_to_num(nan=0, posinf=0)  # a row that is not finite costs the same wherever it is put
    return torch.from_numpy(linear_sum_assignment(distances.numpy())[1])
