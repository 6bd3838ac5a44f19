"""Outputs that are sets of rows: the order in which a device ranks near ties is no error."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


def align_rows(answer: Tensor, reference: Tensor) -> Tensor:
    """The answer, (batch, rows, values), with the rows of each image in the order of the reference's.

    Rows are matched one to one so that the sum of their distances is smallest, each value measured by its spread
    over the reference. Where the shapes differ there is nothing to match, and the answer is given back.
    """
    if answer.shape != reference.shape or not answer.numel():
        return answer
    return torch.stack([image[_order(image, wanted)] for image, wanted in zip(answer, reference, strict=True)])


def _order(answer: Tensor, reference: Tensor) -> Tensor:
    """For each row of the reference, the place of the answer's row that is matched with it."""
    spread = reference.double().std(dim=0).clamp_min(1e-12)
    distances = torch.cdist(reference.double() / spread, answer.double() / spread)
    distances = distances.nan_to_num(nan=1e30, posinf=1e30)  # a row that is not finite is matched last
    return torch.from_numpy(linear_sum_assignment(distances.numpy())[1])
