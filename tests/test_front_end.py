"""Front end or compiler: the HLO that a device's compiler is given, beside that of torch-xla on the CPU."""

from __future__ import annotations

from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path

import pytest
import suites
from doubles import stand_on

from conformance.cases.outcome import Status
from conformance.graphs.hlo_difference import EQUAL, difference

MODULE = """HloModule m.9, entry_computation_layout={(f32[8]{0}, f32[2,8]{1,0})->f32[2]{0}}

%AddComputation.4 (x.5: f32[], y.6: f32[]) -> f32[] {
  %x.5 = f32[] parameter(0)
  %y.6 = f32[] parameter(1)
  ROOT %add.7 = f32[] add(f32[] %x.5, f32[] %y.6)
}

ENTRY %m.9 (p0.1: f32[8], p1.2: f32[2,8]) -> f32[2] {
  %p1.2 = f32[2,8]{1,0} parameter(1)
  %p0.1 = f32[8]{0} parameter(0)
  %broadcast.3 = f32[2,8]{1,0} broadcast(f32[8]{0} %p0.1), dimensions={1}
  %subtract.4 = f32[2,8]{0,1} subtract(f32[2,8]{1,0} %p1.2, f32[2,8]{1,0} %broadcast.3), metadata={op_name="a/(b)"}
  %constant.8 = f32[] constant(0.5)
  ROOT %reduce.9 = f32[2]{0} reduce(%subtract.4, %constant.8), dimensions={1}, to_apply=%AddComputation.4
}
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("%subtract.4", "%minus.40"),
        ("x.5", "left.1"),
        ("{0,1}", "{1,0}"),
        (', metadata={op_name="a/(b)"}', ""),
        (
            "  %constant.8 = f32[] constant(0.5)\n",
            "  %unused.1 = f32[] constant(3)\n  %constant.8 = f32[] constant(0.5)\n",
        ),
    ],
)
def test_names_layouts_and_what_nothing_reads_are_no_difference(before: str, after: str) -> None:
    assert difference(MODULE.replace(before, after), MODULE) == EQUAL


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("subtract(", "divide(", "has 1 divide, lacks 1 subtract"),
        ("subtract(", "custom-call(", "has 1 custom-call, lacks 1 subtract"),
        ("constant(0.5)", "constant(0.25)", "has 1 constant f32[] 0.25, lacks 1 constant f32[] 0.5"),
        ("dimensions={1}, to_apply", "dimensions={0}, to_apply", "has 1 reduce f32[2] *, lacks 1 reduce f32[2] *"),
        (
            "add(f32[] %x.5, f32[] %y.6)",
            "add(f32[] %y.6, f32[] %x.5)",
            "has 1 reduce f32[2] *, lacks 1 reduce f32[2] *",
        ),
        ("f32[2]{0}", "f64[2]{0}", "has 1 reduce f64[2], lacks 1 reduce f32[2]"),
        (
            "%p1.2, f32[2,8]{1,0} %broadcast.3",
            "%broadcast.3, f32[2,8]{1,0} %p1.2",
            "the same operators, connected in another way",
        ),
    ],
)
def test_what_is_computed_otherwise_is_named(before: str, after: str, said: str) -> None:
    assert fnmatchcase(difference(MODULE.replace(before, after), MODULE), said.replace("[", "[[]"))


def test_what_is_no_hlo_is_said() -> None:
    with pytest.raises(ValueError, match="no ENTRY"):
        difference("module {}", MODULE)


@pytest.fixture
def on(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The suite, on a trn2."""
    if find_spec("torch_xla") is None:
        pytest.skip("needs the torch-xla environment")
    stand_on(monkeypatch, suite.path, "trn2")
    return suite


@pytest.mark.xla
@pytest.mark.parametrize(
    ("trouble", "said"),
    [pytest.param("", "equal", marks=pytest.mark.slow), ("other-silu", "has *tanh*lacks *logistic")],
)
def test_record_says_whether_the_compiler_was_given_what_torch_xla_gives(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, trouble: str, said: str
) -> None:
    monkeypatch.setenv("NEURON_DOUBLE", trouble)
    monkeypatch.setenv("CONFORMANCE_CACHE", str(on.path / "cache"))  # what was compiled without the trouble is not it
    suites.run(on, "--target", "neuron", "--workarounds", "slice", "-k", "test_model and b2")
    (record,) = suites.records(on)
    assert record.status is Status.PASS
    assert fnmatchcase(str(record.front_end), said)
    assert Path(str(record.hlo)).is_file()


@pytest.mark.xla
def test_failed_compile_tells_the_front_end_apart(on: pytest.Pytester) -> None:
    suites.run(on, "--target", "neuron", "-k", "sort-refused and sort/")
    (record,) = suites.records(on)
    assert (record.status, record.front_end) == (Status.ERROR, "equal")
