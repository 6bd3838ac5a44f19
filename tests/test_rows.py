"""Outputs that are sets of rows: their order does not count, everything else does."""

from __future__ import annotations

import torch

from conformance.compare.rows import SCORE, align_rows, without_ties

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
    assert torch.equal(align_rows(broken, ROWS)[:, 1:], ROWS[:, 1:])
    short = shuffled(ROWS)[:, :-1]
    assert align_rows(short, ROWS) is short
    assert without_ties(short, ROWS) is short
    none = ROWS[:, :0]
    assert align_rows(none, none) is none


def test_what_has_no_scores_or_no_images_has_no_ties() -> None:
    for wrong, right in ((ROWS[..., :SCORE] + 1, ROWS[..., :SCORE]), (ROWS[0] + 1, ROWS[0])):
        assert without_ties(wrong, right) is wrong


def test_each_value_is_measured_by_its_own_spread() -> None:
    """Boxes of 0 and 10, scores of 0.1 and 0.9: a score that is right tells more than a box that is 8 off."""
    reference = torch.zeros(1, 2, 6, dtype=torch.float64)
    reference[0, :, 0], reference[0, :, SCORE] = torch.tensor([0.0, 10.0]), torch.tensor([0.1, 0.9])
    answer = reference.clone()
    answer[0, :, 0] = torch.tensor([8.0, 2.0])
    assert torch.equal(align_rows(answer.flip(1), reference), answer)


def ranked(scores: torch.Tensor) -> torch.Tensor:
    rows = ROWS.clone()
    rows[..., SCORE] = scores.sort(descending=True).values
    return rows


def judged(answer: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Which rows of the first image differ from the reference."""
    differ = without_ties(align_rows(answer, reference), reference) != reference
    return differ[0].any(-1).nonzero().flatten()


def test_which_of_several_near_ties_is_the_last_row_does_not_count() -> None:
    reference = ranked(ROWS[..., SCORE] + 0.5)
    other = reference.clone()
    other[:, -1] = ROWS[:, 0] + 1  # another candidate altogether, of the same score but for rounding
    other[:, -1, SCORE] = reference[:, -1, SCORE] + 1e-7
    assert judged(other, reference).tolist() == [29], "its score is compared, and no more than that"
    closed = without_ties(other, reference)
    assert torch.equal(closed[..., :SCORE], reference[..., :SCORE])
    assert torch.equal(closed[..., SCORE], other[..., SCORE])


def test_row_of_just_the_lowest_score_is_open() -> None:
    reference = ranked(ROWS[..., SCORE] + 0.5)
    other = reference.clone()
    other[:, -1, :SCORE] += 1
    assert judged(other, reference).tolist() == []
    assert without_ties(other.float(), reference).dtype == torch.float32, "the answer's own dtype"


def test_scores_of_one_image_say_nothing_of_another() -> None:
    reference = ranked(ROWS[..., SCORE] + 0.5)
    other = reference.clone()
    other[0, :, SCORE] *= 1.5
    other[1, -1, :SCORE] += 1
    assert torch.equal(without_ties(other, reference)[1], reference[1])


def test_row_further_up_than_twice_the_difference_counts() -> None:
    reference = ranked(torch.linspace(0.5, 0.79, 30, dtype=torch.float64).expand(2, 30))  # 0.01 apart
    wrong = reference.clone()
    wrong[:, -2:, 0] += 1
    wrong[:, -1, SCORE] -= 0.004
    assert judged(wrong, reference).tolist() == [28, 29]
    wrong[:, -1, SCORE] -= 0.002  # 0.006 now: the last but one is within twice that
    closed = without_ties(wrong, reference)
    assert torch.equal(closed[..., :SCORE], reference[..., :SCORE])


def test_row_is_open_only_where_both_scores_are_low() -> None:
    reference = ranked(ROWS[..., SCORE] + 0.5)
    wrong = reference.clone()
    wrong[:, 5, SCORE], wrong[:, -1, SCORE] = reference[:, -1, SCORE], reference[:, 5, SCORE]
    wrong[:, [5, -1], 0] += 1
    assert torch.equal(without_ties(wrong, reference), wrong)


def test_as_many_ties_as_other_rows_are_open_and_more_are_not() -> None:
    scores = torch.linspace(0.5, 0.79, 30, dtype=torch.float64).repeat(2, 1)
    scores[0, :15], scores[1, :16] = 0.4, 0.4
    reference = ranked(scores)
    wrong = reference.clone()
    wrong[:, -15:, 0] += 1
    closed = without_ties(wrong, reference)
    assert torch.equal(closed[0], reference[0])
    assert torch.equal(closed[1], wrong[1])


def test_box_of_a_row_that_is_surely_ranked_counts_however_low() -> None:
    reference = ranked(ROWS[..., SCORE] + 0.5)
    wrong = reference.clone()
    wrong[0, -2, 0] += 1  # the last but one, with the right score
    wrong[0, -1, SCORE] += 1e-7
    assert judged(wrong, reference).tolist() == [28, 29]


def test_scores_that_differ_a_lot_exempt_no_row() -> None:
    reference = ranked(ROWS[..., SCORE] + 0.5)
    wrong = reference * 1.5
    assert len(judged(wrong, reference)) == 30
