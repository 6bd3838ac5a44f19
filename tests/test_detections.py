"""Detections of an output, and what a faulty device does to them: lost and spurious exactly as planted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from math import inf, nan

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from conformance.core.errors import UserError
from conformance.detections.matching import CONFIDENCES, SLACK, Counts, count, count_images, differs, total
from conformance.detections.postprocess import Detections, _suppressed, from_cells, from_rows
from conformance.models.boxes import survivors
from conformance.models.torchvision_ops import suppression
from conformance.scenes.letterbox import Letterbox

SCORES = (0.9, 0.8, 0.6, 0.3, 0.15, 0.12)


def scene(scores: tuple[float, ...] = SCORES) -> Tensor:
    """(4, 4 + 6, 16): object j of image i is 40 x 40 pixels at (100 j + 50, 100 i + 50), of class j, in cell j."""
    output = torch.zeros(4, 4 + len(SCORES), 16, dtype=torch.float64)
    output[:, 2:4] = 40
    for j, score in enumerate(scores):
        output[:, 0, j] = 100 * j + 50
        output[:, 1, j] = 100 * torch.arange(4) + 50
        output[:, 4 + j, j] = score
    return output


def one(*found: tuple[tuple[float, ...], float, int], cut: float = -inf) -> Detections:
    """The detections of one image from boxes, scores and classes."""
    boxes, scores, classes = zip(*found, strict=True) if found else ((), (), ())
    return Detections(
        np.array(boxes, dtype=float).reshape(-1, 4), np.array(scores), np.array(classes, dtype=np.int64), cut=cut
    )


def duplicate(y: Tensor) -> None:
    y[0, :, 10] = y[0, :, 0]
    y[0, 0, 10] += 10  # overlaps by 0.6, which is not suppressed


# What a device does, and what is lost and spurious of it in each image at a confidence of 0.25.
FAULTS: dict[str, tuple[Callable[[Tensor], object], list[int], list[int]]] = {
    "none": (lambda y: y, [0, 0, 0, 0], [0, 0, 0, 0]),
    "image dropped": (lambda y: y[2, 4:].zero_(), [0, 0, 4, 0], [0, 0, 0, 0]),
    "boxes shifted by half": (lambda y: y[1, 0].add_(20), [0, 4, 0, 0], [0, 4, 0, 0]),
    "classes swapped": (lambda y: y[0, 4:6].copy_(y[0, [5, 4]]), [2, 0, 0, 0], [2, 0, 0, 0]),
    "scores damped": (lambda y: y[3, 4:].mul_(0.5), [0, 0, 0, 1], [0, 0, 0, 0]),
    "box duplicated": (duplicate, [0, 0, 0, 0], [1, 0, 0, 0]),
    "images swapped": (lambda y: y[:2].copy_(y[[1, 0]]), [4, 4, 0, 0], [4, 4, 0, 0]),
    "one nan": (lambda y: y[2, 9, 0].fill_(nan), [0, 0, 1, 0], [0, 0, 0, 0]),
    "widths zeroed": (lambda y: y[1, 2].zero_(), [0, 4, 0, 0], [0, 0, 0, 0]),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_lost_and_spurious_in_its_image_exactly(name: str) -> None:
    fault, lost, spurious = FAULTS[name]
    faulty = scene()
    fault(faulty)
    counts = count_images(from_cells(scene()), from_cells(faulty.float()), 0.25)
    assert [image.lost for image in counts] == lost
    assert [image.spurious for image in counts] == spurious
    assert total(counts) == Counts(0.25, 16, 16 - sum(lost), sum(lost), sum(spurious))


def test_damped_scores_are_lost_at_the_confidences_they_fall_below() -> None:
    damped = scene()
    damped[:, 4:] *= 0.5
    pairs = from_cells(scene())[0], from_cells(damped)[0]
    assert [count(*pairs, c) for c in CONFIDENCES] == [
        Counts(0.1, 6, 4, 2, 0),
        Counts(0.25, 4, 3, 1, 0),
        Counts(0.5, 3, 0, 3, 0),
        Counts(0.75, 2, 0, 2, 0),
    ]


@pytest.mark.parametrize("confidence", CONFIDENCES)
def test_crossing_the_confidence_by_rounding_is_neither_lost_nor_spurious(confidence: float) -> None:
    box = (0.0, 0.0, 9.0, 9.0)
    at, below, far_below = (one((box, confidence - less, 0)) for less in (0, 0.9 * SLACK, 1.1 * SLACK))
    assert count(at, below, confidence) == Counts(confidence, 1, 1, 0, 0)
    assert count(below, at, confidence) == Counts(confidence, 0, 0, 0, 0)
    assert count(at, far_below, confidence) == Counts(confidence, 1, 0, 1, 0)
    assert count(far_below, at, confidence) == Counts(confidence, 0, 0, 0, 1)


def test_slack_is_what_rounding_to_bfloat16_does() -> None:
    scores = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    worst = (scores.bfloat16().double() - scores).abs().max().item()
    assert 0.99 * SLACK < worst <= SLACK


@pytest.mark.parametrize(("width", "kept"), [(50, 1), (49, 0)])
def test_half_of_both_is_the_same_object(width: float, kept: int) -> None:
    first, second = (one(((0, 0, right, 10), 0.9, 0)) for right in (100, width))
    assert count(first, second, 0.5) == Counts(0.5, 1, kept, 1 - kept, 1 - kept)


def test_as_many_pairs_are_made_as_can_be() -> None:
    left, middle, right = ((x, 0.0, x + 10.0, 10.0) for x in (0.0, 2.0, 4.0))
    # Middle with middle is the best pair, and would leave right and left, which do not overlap enough.
    reference = one((middle, 0.9, 0), (right, 0.8, 0))
    answer = one((middle, 0.9, 0), (left, 0.8, 0))
    assert count(reference, answer, 0.5) == Counts(0.5, 2, 2, 0, 0)


def test_rounding_at_the_cut_of_a_full_list_is_not_judged_and_an_empty_list_is() -> None:
    reference, rounded = scene((0.9, 0.8, 0.5, 0.4999)), scene((0.9, 0.8, 0.4999, 0.5))
    full, other = (from_cells(output, most=3)[0] for output in (reference, rounded))
    assert (len(full), full.cut, other.cut) == (3, 0.4999, 0.4999)
    assert count(full, other, 0.1) == Counts(0.1, 2, 2, 0, 0)
    assert count(full, one(), 0.1) == Counts(0.1, 3, 0, 3, 0)
    assert count(full, from_cells(reference * 0, most=3)[0], 0.1).lost == 3


@st.composite
def images(draw: st.DrawFn) -> Detections:
    """Many boxes in a small place: overlaps that are equal, scores that are, too."""
    corner, side = st.integers(0, 12), st.integers(1, 8)
    box = st.tuples(corner, corner, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
    found = draw(
        st.lists(st.tuples(box, st.sampled_from([0.1, 0.25, 0.5, 0.6, 0.9]), st.integers(0, 2)), max_size=25)
    )
    return one(*sorted(found, key=lambda detection: -detection[1]))


def overlap_of(a: np.ndarray, b: np.ndarray) -> float:
    """Cells of the grid in both over cells in either."""
    cells = [{(x, y) for x in range(*box[::2]) for y in range(*box[1::2])} for box in (a.astype(int), b.astype(int))]
    return len(cells[0] & cells[1]) / len(cells[0] | cells[1])


@settings(deadline=None)
@given(images(), st.sampled_from([0.25, 0.5, 0.7]))
@example(one(((0, 0, 2, 1), 0.9, 0), ((0, 0, 1, 1), 0.6, 0)), 0.5)
def test_suppression_is_the_plain_one(image: Detections, overlap: float) -> None:
    kept: list[int] = []
    for i in range(len(image)):
        rivals = [j for j in kept if image.classes[j] == image.classes[i]]
        if all(overlap_of(image.boxes[i], image.boxes[j]) <= overlap for j in rivals):
            kept.append(i)
    assert list(survivors(image.boxes, image.classes, overlap)) == kept


@settings(deadline=None)
@given(images(), images())
def test_counts_of_any_two(some: Detections, others: Detections) -> None:
    for confidence in CONFIDENCES:
        same, one_way, other_way = (
            count(*pair, confidence) for pair in ((some, some), (some, others), (others, some))
        )
        assert (same.lost, same.spurious, same.kept) == (0, 0, same.reference)
        assert (one_way.lost, one_way.spurious) == (other_way.spurious, other_way.lost)
        assert one_way.kept + one_way.lost == one_way.reference == int((some.scores >= confidence).sum())


@settings(deadline=None)
@given(images(), st.sampled_from(CONFIDENCES))
def test_what_scores_less_has_no_influence(image: Detections, confidence: float) -> None:
    centres, sides = (image.boxes[:, :2] + image.boxes[:, 2:]) / 2, image.boxes[:, 2:] - image.boxes[:, :2]
    scores = np.eye(3)[image.classes] * image.scores[:, None]
    output = torch.from_numpy(np.concatenate([centres, sides, scores], 1).T[None])
    ((low,), (high,)) = from_cells(output), from_cells(output, confidence)
    assert np.array_equal(low.above(confidence).boxes, high.boxes)
    assert np.array_equal(low.above(confidence).classes, high.classes)


@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_cells_that_are_not_finite_or_have_no_extent_are_counted_and_no_detections(bad: float) -> None:
    output = scene()
    output[0, 9, 1] = bad  # the score of another class
    output[0, 0, 2] = bad
    output[0, 3, 3] = -5
    output[0, 3, 12] = 0  # scores nothing
    found = from_cells(output)[0]
    assert found.classes.tolist() == [0, 4, 5]
    assert (found.nonfinite, found.degenerate) == (2, 1)


def test_cells_give_their_best_class_and_corners() -> None:
    output = torch.tensor([[[50.0, 60, 20, 40, 0.3, 0.7, 0.6]]]).transpose(1, 2)
    (found,) = from_cells(output.bfloat16())
    assert found.boxes.tolist() == [[40, 40, 60, 80]]
    assert found.classes.tolist() == [1]
    assert found.scores.tolist() == [pytest.approx(0.7, abs=SLACK)]


def test_equal_scores_are_in_the_order_of_the_output() -> None:
    rows = torch.tensor([[0, 0, 9, 9, 0.5 + kind % 2 / 4, kind] for kind in range(100)])
    assert from_rows(rows[None])[0].classes.tolist() == [*range(1, 100, 2), *range(0, 100, 2)]


def test_rows_are_only_ranked_and_sifted() -> None:
    rows = [[0.0, 0, 9, 9, 0.5, 3], [0, 0, 9, 9, 0.8, 3], [0, 0, 0, 9, 0.8, 3], [0, 0, 9, nan, 0.8, 3], [0] * 6]
    (found,) = from_rows(torch.tensor([rows]))
    assert (found.scores.tolist(), found.cut) == ([pytest.approx(0.8), 0.5], -inf)
    assert (found.classes.dtype, found.nonfinite, found.degenerate) == (np.int64, 1, 1)  # type: ignore[comparison-overlap]
    assert from_rows(torch.tensor([rows[:2]]))[0].cut == 0.5, "all of them score enough: there may be more"
    assert len(from_rows(torch.zeros(1, 0, 6))[0]) == 0


@pytest.mark.parametrize(
    ("read", "shape"), [(from_cells, (2, 4, 9)), (from_cells, (84, 9)), (from_rows, (1, 6, 300))]
)
def test_other_shape_is_one_line(read: Callable[[Tensor], object], shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"it should be \(batch, "):
        read(torch.zeros(shape))


sizes = st.integers(1, 2000)


@settings(deadline=None)
@given(st.builds(Letterbox, sizes, sizes, sizes, sizes), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_letterbox_and_back(box: Letterbox, where: list[float]) -> None:
    photograph = np.tile([box.width, box.height], 2)
    inside = np.array([where]) * photograph
    placed = box.place(inside)
    assert np.allclose(box.restore(placed), inside, rtol=0, atol=1e-9 * photograph.max())
    assert (placed >= 0).all()
    assert (placed <= np.tile([box.input_width, box.input_height], 2) * (1 + 1e-12)).all()
    beyond = box.restore(np.array([[-1e4, -1e4, 1e4, 1e4]]))
    assert beyond.tolist() == [[0, 0, box.width, box.height]]


def test_letterbox_of_a_wide_photograph() -> None:
    box = Letterbox(height=480, width=640, input_height=320, input_width=320)
    assert (box.size, box.corner) == ((240, 320), (40, 0))
    assert box.place(np.array([[0, 0, 640, 480], [64, 48, 128, 96]])).tolist() == [
        [0, 40, 320, 280],
        [32, 64, 64, 88],
    ]
    with pytest.raises(UserError, match="must be positive"):
        Letterbox(0, 640, 320, 320)


@pytest.mark.xla
@pytest.mark.skipif(find_spec("torch_xla") is None, reason="torchvision's kernels load in the torch-xla environment")
@settings(deadline=None)
@given(images(), st.sampled_from([0.25, 0.5, 0.7]))
def test_suppression_is_that_of_torchvision(image: Detections, overlap: float) -> None:
    """Its kernel is what is used there, and our own gives the same."""
    from torchvision.ops import batched_nms, nms

    assert suppression() is nms
    wanted = batched_nms(*map(torch.from_numpy, (image.boxes, image.scores, image.classes)), overlap).tolist()
    assert _suppressed(image, overlap, 99).tolist() == list(survivors(image.boxes, image.classes, overlap)) == wanted
    assert _suppressed(image, overlap, 2).tolist() == wanted[:2]


def test_detections_that_valid_runs_do_not_agree_on_are_none_to_lose_or_make_up() -> None:
    def found(*places: float, cut: float = -inf) -> Detections:
        boxes = np.array([[x, 0, x + 10, 10] for x in places]).reshape(-1, 4)
        return Detections(boxes, np.full(len(places), 0.5), np.zeros(len(places), dtype=np.int64), cut=cut)

    valid = [found(0, 100, 200), found(0, 100), found(0, 100, 300)]
    for answer, changed in (
        (found(0, 100, 200), False),
        (found(0, 100), False),
        (found(0, 100, 300), False),
        (found(0, 200), True),
        (found(), True),
        (found(0, 100, 400), True),
        (found(0, 100, 0), True),
    ):
        assert differs(valid, answer, 0.25) is changed, answer.boxes
    full = [found(0, 100, cut=0.6)]
    assert not differs(full, found(0, 100, 400), 0.25), "where a list is full others may have had no room"
    assert differs([found(0, 100)], found(0, cut=-inf), 0.25)
    assert not differs(full, found(0, cut=0.6), 0.25)
    broken = replace(found(0, 100), nonfinite=1)
    assert differs([found(0, 100)], broken, 0.25)
    assert not differs([found(0, 100), broken], broken, 0.25)
