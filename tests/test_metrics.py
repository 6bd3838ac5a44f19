"""The figures themselves, by numbers that can be checked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from conformance.compare.limits import limit
from conformance.compare.metrics import (
    MEASURES,
    OF_ALONE,
    OF_WHOLE,
    by_image,
    cosine,
    rel_gain,
    rel_l2,
    rel_peak,
    sqnr_db,
)
from conformance.compare.verdict import compare_group
from conformance.core.errors import UserError


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_tensors_are_laid_side_by_side_image_by_image() -> None:
    first, second = torch.arange(6.0).reshape(2, 1, 3), torch.tensor([[7.0], [8.0]])
    assert torch.equal(by_image([first, second]), rows([0, 1, 2, 7], [3, 4, 5, 8]))
    assert by_image([torch.tensor(2.0)]).shape == (1, 1), "a scalar is one image's"


def test_relative_error_is_of_each_image_and_its_own_size() -> None:
    reference = rows([0.3, 0.4], [30, 40], [0, 0], [0, 0], [0, 0])
    answer = rows([0.3, 0.5], [30, 41], [0, 0], [0, 1], [0, 1e-30])
    assert rel_l2(answer, reference).tolist() == pytest.approx([0.2, 0.02, 0, math.inf, math.inf])


def test_peak_is_the_largest_error_over_the_largest_value_of_each_image() -> None:
    reference = rows([1, -4, 2], [10, 40, 20], [0, 0, 0], [0, 0, 0])
    answer = rows([1, -4, 1], [10, 42, 19], [0, 0, 0], [0, 0, 1e-30])
    assert rel_peak(answer, reference).tolist() == pytest.approx([0.25, 0.05, 0, math.inf])
    assert rel_peak(rows([math.nan, 1]), rows([1, 1])).isnan().all()


def test_gain_is_what_all_of_an_image_is_too_large_or_too_small_by() -> None:
    reference = rows([3, 4], [3, 4], [3, 4], [0, 0])
    answer = rows([3.03, 4.04], [2.97, 3.96], [3.4, 3.7], [0, 0])
    assert rel_gain(answer, reference).tolist() == pytest.approx([0.01, 0.01, 0, 0], abs=1e-12)


def test_ratio_is_by_the_measure_that_makes_it_largest() -> None:
    reference, signs = torch.randn(2, 3, 10_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    answer = reference * (1 + 0.001 * signs.sign())
    answer[1, 7] += 0.05
    answer[2] *= 1.0005
    baseline = {"L2": [0.001] * 3, "peak": [0.002] * 3, "gain": [0.00003] * 3}
    found = compare_group(answer, reference, baseline, 0.0, 5.0)
    assert [image.measure for image in found.per_image] == ["L2", "peak", "gain"]
    assert found.bad
    assert found.per_image[0].noise_ratio < 2
    assert all(image.noise_ratio > 5 for image in found.per_image[1:])
    assert all(image.rel_l2 < 0.002 for image in found.per_image), "nothing that the L2 norm would have seen"
    whole = compare_group(answer, reference, {name: baseline[name] for name in OF_WHOLE}, 0.0, 5.0)
    assert [image.noise_ratio > 5 for image in whole.per_image] == [False, True, False]
    broken = compare_group(answer.index_fill(1, torch.tensor([3]), math.nan), reference, baseline, 0.0, 5.0)
    assert broken.bad
    assert math.isnan(broken.noise_ratio)
    assert tuple(MEASURES) == OF_ALONE


def test_cosine_is_of_each_image() -> None:
    reference = rows([0.3, 0.4], [3, 4], [1, 0], [0, 0], [0, 0])
    answer = rows([0.3, -0.4], [4, -3], [1, 1], [0, 0], [0, 1])
    assert cosine(answer, reference).tolist() == pytest.approx([-0.28, 0, math.sqrt(0.5), 1, 0])


def test_sqnr_is_in_decibels() -> None:
    assert sqnr_db(0.01) == pytest.approx(40, abs=1e-12)
    assert sqnr_db(1e-3) == pytest.approx(60, abs=1e-12)
    assert sqnr_db(0.0) == math.inf
    assert sqnr_db(1e-50) == pytest.approx(1000)


def test_group_is_as_bad_as_its_worst_image_and_a_ratio_of_just_the_limit_passes() -> None:
    reference, answer = rows([3, 4], [3, 4]), rows([3, 4.1], [3, 3.7])
    found = compare_group(answer, reference, baseline={"L2": [0.01, 0.03]}, floor=0.0, allowed_ratio=2.0)
    ratios = [image.noise_ratio for image in found.per_image]
    assert ratios == pytest.approx([2, 2])
    assert found.noise_ratio == max(ratios)
    assert found.max_abs == pytest.approx(0.3)
    for allowed, bad in ((max(ratios), False), (max(ratios) * (1 - 1e-12), True)):
        assert compare_group(answer, reference, {"L2": [0.01, 0.03]}, 0.0, allowed).bad is bad
    assert compare_group(answer, reference, {"L2": [0.01, 0.03]}, 0.1, 2.0).noise_ratio == pytest.approx(0.6), (
        "the floor"
    )
    with pytest.raises(ValueError, match="shorter"):
        compare_group(answer, reference, {"L2": [0.01]}, 0.0, 2.0)


def test_dtype_without_limits_is_one_line() -> None:
    with pytest.raises(UserError, match=r"'float8' cannot be judged yet: .* for float32, bfloat16, float16"):
        limit("float8")
