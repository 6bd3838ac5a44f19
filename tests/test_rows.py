"""Outputs that are sets of rows: their order does not count, everything else does."""

from __future__ import annotations

import torch

from conformance.compare.rows import align_rows

ROWS = torch.rand(2, 30, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * torch.tensor(
    [640, 640, 640, 640, 1, 80]
)


def shuffled(rows: torch.Tensor) -> torch.Tensor:
    return rows[:, torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(1))]


def test_order_does_not_count() -> None:
    assert not torch.equal(shuffled(ROWS), ROWS)
    assert torch.equal(align_rows(shuffled(ROWS), ROWS), ROWS)


def test_every_change_of_a_row_is_seen() -> None:
    for column in range(6):
        changed = ROWS.clone()
        changed[1, 7, column] *= 1.01
        aligned = align_rows(shuffled(changed), ROWS)
        assert torch.equal(aligned[0], ROWS[0])
        assert (aligned[1] != ROWS[1]).nonzero().tolist() == [[7, column]]


def test_rows_are_not_used_twice_and_images_not_mixed() -> None:
    doubled = ROWS.clone()
    doubled[:, 3] = doubled[:, 4]
    assert not torch.equal(align_rows(doubled, ROWS), ROWS)
    assert not torch.equal(align_rows(ROWS.flip(0), ROWS), ROWS)


def test_nan_stays_and_shapes_that_differ_are_left_alone() -> None:
    broken = ROWS.clone()
    broken[0, 0, 0] = torch.nan
    assert align_rows(broken, ROWS).isnan().sum() == 1
    assert align_rows(ROWS[:, :-1], ROWS).shape == (2, 29, 6)
