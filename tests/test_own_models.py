"""Models as users write them: each is judged, or refused in one line that says what of it cannot be judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import suites
import torch
import toys
from cells import cell, changed
from operators_after import After
from torch import Tensor, nn

from conformance.cases.outcome import MODEL, Outcome, Stage, Status
from conformance.core.groups import Group
from conformance.running.pipeline import run_case
from conformance.systems.protocol import Model


class Counter:
    """Another number at every call."""

    def __init__(self, period: int) -> None:
        self.period, self.calls = period, 0

    def __call__(self, y: Tensor) -> Tensor:
        self.calls += 1
        return y * (1 + 0.1 * (self.calls % self.period))


class Remembering(nn.Module):
    """Adds what it was shown last time."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last = nn.Conv2d(3, 4, 3), torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        result: Tensor = y + self.last
        self.last = y.mean()
        return result


class Keyword(nn.Module):
    """A layer that is called with keywords, numbers, nothing, and a list."""

    class Scale(nn.Module):
        def forward(self, parts: list[Tensor], factor: int, *, bias: Tensor, mode: str | None = None) -> Tensor:
            return parts[0] * factor + bias

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.scale = nn.Conv2d(3, 4, 3), self.Scale()

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        result: Tensor = self.scale([y, y], 2, bias=y.mean((2, 3), keepdim=True), mode=None)
        return result


class Twice(nn.Module):
    """One activation for two layers, and a table of positions."""

    class Positions(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ones_like(x[:1]).cumsum(-1).sin()

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.act = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.SiLU()
        self.positions = self.Positions()

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.a(x))
        result: Tensor = self.act(self.b(y + self.positions(y)))
        return result


def huge_mask(y: Tensor) -> Tensor:
    y = y.flatten(2)
    lowest = torch.finfo(torch.float32).min
    return torch.where(y > y.mean(-1, keepdim=True), y, torch.full_like(y, lowest)).softmax(-1) * 2


def infinite_mask(y: Tensor) -> Tensor:
    return y.masked_fill(torch.ones(y.shape[-2:], dtype=torch.bool).triu(1), -torch.inf)


def batch_mean(y: Tensor) -> Tensor:
    y = y.mean((2, 3))
    return y - y.mean(0, keepdim=True)


def strided(y: Tensor) -> Tensor:
    """Right only for what is contiguous: no run with the channels last is a valid one."""
    return y.as_strided(y.shape, (y[0].numel(), y[0, 0].numel(), y.shape[-1], 1)) * 2


def raises(y: Tensor) -> Tensor:
    raise ValueError(f"no images of {tuple(y.shape)}\nmore of it")


@dataclass(frozen=True)
class Entry:
    """How a model is made, which of its layers are compared, and what has to come of it."""

    make: Callable[[], nn.Module]
    layers: tuple[str, ...] = ("stem",)
    refused: str | None = None
    groups: tuple[str, ...] = ("output",)


JUDGED = {
    "onlyhead": Entry(lambda: After(lambda y: y, head=True), ("head",)),
    "headandstem": Entry(lambda: After(lambda y: y, head=True), ("stem", "head")),
    "float32constant": Entry(lambda: After(lambda y: y @ (torch.eye(y.shape[-1]) + 0.1) * 2)),
    "float32cast": Entry(lambda: After(lambda y: y.float().matmul(torch.ones(y.shape[-1], 2)))),
    "hugemask": Entry(lambda: After(huge_mask)),
    "infinitemask": Entry(lambda: After(lambda y: infinite_mask(y).softmax(-1))),
    "morerows": Entry(lambda: After(lambda y: torch.cat((y.mean((2, 3)), y.mean((2, 3)).mean(0, keepdim=True))))),
    "scalar": Entry(lambda: After(lambda y: y.square().mean())),
    "sequencefirst": Entry(lambda: After(lambda y: y.flatten(2).permute(2, 0, 1))),
    "batchmean": Entry(lambda: After(batch_mean)),
    "strided": Entry(lambda: After(strided)),
    "outputs": Entry(
        lambda: After(lambda y: {"out": y, "pooled": y.mean((2, 3)), "nothing": None}), groups=("out", "pooled")
    ),
    "nested": Entry(
        lambda: After(lambda y: {"boxes": [y, y * 2], "more": {"mask": y > 0}}),
        groups=("boxes.0", "boxes.1", "more.mask"),
    ),
    "tuple": Entry(lambda: After(lambda y: (y, [y * 2])), groups=("output.0", "output.1")),
    "integers": Entry(lambda: After(lambda y: (y, y.argmax(1))), groups=("output.0", "output.1")),
    "empty": Entry(lambda: After(lambda y: (y, y[:, :0])), groups=("output.0", "output.1")),
    "keyword": Entry(Keyword, ("stem", "scale")),
    "twice": Entry(Twice, ("a", "act", "positions", "b")),
}  # fmt: skip
REFUSED = {
    "stateful": Entry(lambda: After(Counter(2)), refused="it gives another answer when it is called again"),
    "threestates": Entry(lambda: After(Counter(3)), refused="it gives another answer when it is called again"),
    "remembering": Entry(Remembering, refused="it gives another answer when it is called again"),
    "random": Entry(lambda: After(lambda y: y + torch.rand_like(y)), refused="it gives another answer when"),
    "unused": Entry(lambda: After(lambda y: y), ("spare",), refused="its layer spare is never called"),
    "nosuch": Entry(lambda: After(lambda y: y), ("stam",), refused="it has no layer 'stam'; the nearest is 'stem'"),
    "raises": Entry(lambda: After(raises), refused="it cannot be run: ValueError: no images of"),
    "notensor": Entry(lambda: After(lambda y: "text"), refused="it gives a str, in which there is no tensor"),
    "sparse": Entry(lambda: After(lambda y: y.flatten(1).to_sparse()), refused="it gives a tensor of layout"),
    "unbuilt": Entry(lambda: nn.Linear(2, "x"), refused="it cannot be built: TypeError"),  # type: ignore[arg-type]
}  # fmt: skip
ENTRIES = JUDGED | REFUSED


class Own(toys.Toy):
    """The models above."""

    name = "own"
    variants = tuple(ENTRIES)

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        return ENTRIES[variant].layers

    def groups(self, variant: str, task: str) -> tuple[Group, ...] | None:
        return None

    def build(self, variant: str, task: str) -> Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = ENTRIES[variant].make().eval().requires_grad_(False)
        if variant == "unused":
            module.spare = nn.Identity()
        return Model(module, self.layers(variant, task), f"own-{variant}")


def judge(variant: str, batch: int = 3, layer: str | None = None, target: toys.Planted = toys.HEALTHY) -> Outcome:
    case = cell("own", variant, "detect", batch, 16, 16, "float32", target.name, layer=layer)
    return run_case(case, "test_own_models:Own", target, lambda _: None)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("variant", JUDGED)
def test_model_is_judged(variant: str, batch: int) -> None:
    outcome = judge(variant, batch)
    assert outcome.status is Status.PASS, outcome.detail
    assert tuple(outcome.groups) == JUDGED[variant].groups
    assert [layer.path for layer in outcome.layers] == list(JUDGED[variant].layers)
    assert all(len(group.per_image) == batch for group in outcome.groups.values())


LOUDER = toys.Planted(lambda outputs: tuple(x * 1.001 if x.is_floating_point() else x for x in outputs))


@pytest.mark.parametrize("variant", JUDGED)
def test_model_whose_answers_are_a_thousandth_too_large_is_wrong(variant: str) -> None:
    """Also where images depend on each other, or on how they lie in memory: runs that change that are no noise."""
    assert judge(variant, target=LOUDER).status is Status.WRONG


@pytest.mark.parametrize("variant", JUDGED)
def test_layers_of_it_are_judged_alone(variant: str) -> None:
    for layer in JUDGED[variant].layers:
        outcome = judge(variant, layer=layer)
        assert outcome.status is Status.PASS, (layer, outcome.detail)


@pytest.mark.parametrize("variant", REFUSED)
def test_model_is_refused_in_one_line_about_the_model(variant: str) -> None:
    outcome = judge(variant)
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.ERROR, Stage.CAPTURE, MODEL)
    assert outcome.models_own
    assert outcome.detail
    assert outcome.detail.startswith(str(REFUSED[variant].refused))
    assert "\n" not in outcome.detail


def test_model_that_is_too_large_for_a_dtype_is_judged_in_those_that_hold_it() -> None:
    case = cell("own", "hugemask", "detect", 2, 16, 16, "bfloat16", "planted")
    outcome = run_case(case, "test_own_models:Own", toys.HEALTHY, lambda _: None)
    assert outcome.signature == MODEL
    assert str(outcome.detail).startswith("the CPU cannot run it in bfloat16: RuntimeError")
    assert list(judge("hugemask").conditioning) == ["float32"], "bfloat16 is measured where it can be"


def test_table_of_positions_has_no_part_in_whether_a_network_can_be_judged() -> None:
    found = judge("twice").conditioning["float32"]
    assert found.sufficient
    assert found.layer != "positions"


def test_group_that_is_not_in_the_outputs_is_the_systems_own_fault() -> None:
    class Elsewhere(Own):
        def groups(self, variant: str, task: str) -> tuple[Group, ...]:
            return (Group("boxes", output=3),)

    globals()["Elsewhere"] = Elsewhere
    case = cell("own", "onlyhead", "detect", 2, 16, 16, "float32", "planted")
    outcome = run_case(case, "test_own_models:Elsewhere", toys.HEALTHY, lambda _: None)
    assert outcome.signature == MODEL
    assert str(outcome.detail).startswith("its output group boxes is not in its outputs")


def test_output_that_no_group_names_is_judged_all_the_same() -> None:
    class Half(Own):
        def groups(self, variant: str, task: str) -> tuple[Group, ...]:
            return (Group("first", output=0),)

    globals()["Half"] = Half
    case = cell("own", "tuple", "detect", 2, 16, 16, "float32", "planted")
    second = toys.Planted(lambda outputs: (outputs[0], outputs[1] * 1.01, *outputs[2:]))
    outcome = run_case(case, "test_own_models:Half", second, lambda _: None)
    assert outcome.status is Status.WRONG
    assert {name: group.bad for name, group in outcome.groups.items()} == {"first": False, "output.1": True}


PROFILE = """
description = "Own models."
targets = ["toys:HEALTHY"]

[[models]]
system = "test_own_models:Own"
variants = ["onlyhead", "stateful", "nosuch"]
tasks = ["detect"]
batches = [2]
resolutions = ["16x16"]
"""


def test_refused_model_is_a_red_line_and_a_record(suite: pytest.Pytester) -> None:
    (suite.path / "own.toml").write_text(PROFILE)
    result = suites.run(suite, "-k", "test_model", profile="own.toml")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        ["error in capture (model)", "it gives another answer*", "  the model: no target has anything to do with it"]
    )
    assert "Traceback" not in result.stdout.str()
    assert {record.subject.variant: record.status for record in suites.records(suite)} == {
        "onlyhead": Status.PASS,
        "stateful": Status.ERROR,
        "nosuch": Status.ERROR,
    }
    found = {record.subject.variant: record for record in suites.records(suite)}
    assert changed(found["nosuch"].case, target="")
    assert found["nosuch"].signature == MODEL
