"""The model that a user names: what is made of each form of it, and what of one cannot be judged."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from conformance.cases.case import FORWARD, Subject, model_name, parse_id
from conformance.cases.options import groups
from conformance.cases.outcome import MODEL, Outcome, Stage, Status
from conformance.core.errors import ModelError, UserError
from conformance.core.groups import Group
from conformance.running.pipeline import run_case
from conformance.selection.expand import Chosen
from conformance.selection.model import ModelRequest, best_target, described, find_model, select_model
from conformance.systems.building.user_model.calibrate import calibrate, is_constructed, last_layers
from conformance.systems.building.user_model.factory import interpreted, of_factory
from conformance.systems.building.user_model.layers import FEWEST, MOST, choose_layers
from conformance.systems.loading import load_system
from conformance.systems.user_model import Kind, ModelSpec, UserModel, kind_of, model_spec
from conformance.targets.loading import load_target

FILE = """
import torch
from torch import nn

CALLS = []


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        CALLS.append(width)
        self.stem, self.norm, self.act = nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.SiLU()
        self.head = nn.Conv2d(width, 6, 1)

    def forward(self, x, shift=None):
        y = self.head(self.act(self.norm(self.stem(x))))
        return y if shift is None else y + shift


instance = Net(4)


def pair():
    return Net(), torch.rand(4, 3, 16, 24)


def named():
    return Net(), {"shift": torch.ones(2, 1, 1, 1), "x": torch.rand(2, 3, 16, 24)}


def numbered():
    return Net(), lambda index: (torch.full((2, 3, 16, 24), float(index)),)


def misnamed():
    return Net(), {"image": torch.rand(2, 3, 16, 24)}


def text():
    return "text"


def listed():
    return Net(), [[1, 2]]


def broken():
    raise RuntimeError("no such weights")


def breaking_inputs():
    def inputs(index):
        raise RuntimeError("no such file")

    return Net(), inputs
"""

SLOPES = """
import os
from types import SimpleNamespace

import torch
from torch import nn


class Factor:
    def __init__(self, settings, kind=None):
        self._settings, self.kind = settings, kind

    def __call__(self, x):
        return x * (self._settings[0] if self.kind else self._settings.all[0])


class Told(nn.Module):
    def __init__(self, function):
        super().__init__()
        self._function = function

    def forward(self, x):
        return self._function(x)


def build(told=None):
    told = told or os.environ["SLOPE"]
    return nn.Sequential(nn.Conv2d(3, 8, 3), MADE)
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user's own file in the current folder."""
    (tmp_path / "mine.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("conformance.systems.building.user_model.build.RESOLUTION", (32, 32))
    yield
    sys.modules.pop("mine", None)


def system(source: str, **asked: Any) -> UserModel:
    spec = model_spec(source, **asked)
    assert spec is not None
    return UserModel(spec)


def judged(source: str, target: str = "toys:HEALTHY", **asked: Any) -> Outcome:
    """What comes of the first case of a model."""
    model = described(find_model(source, **asked), lambda name: load_system(name).built().loaded_by)  # type: ignore[attr-defined]
    case = select_model(ModelRequest(model, (target,))).models[0]
    return run_case(case, model.system, load_target(target), lambda stage: None)


@pytest.mark.parametrize(
    ("source", "kind", "name"),
    [
        ("torchvision:resnet18", Kind.ZOO, "torchvision-resnet18"),
        ("transformers:facebook/detr-resnet-50", Kind.ZOO, "transformers-facebook-detr-resnet-50"),
        ("torchvision.models:resnet18", Kind.FACTORY, "own-torchvision.models.resnet18"),
        ("acme.net:build", Kind.FACTORY, "own-acme.net.build"),
        ("acme.net:build('small', depth=2)", Kind.FACTORY, "own-acme.net.build-small-depth-2"),
        ("runs/best.pt", Kind.CHECKPOINT, "ultralytics-best"),
        ("best.pth", Kind.CHECKPOINT, "ultralytics-best"),
        ("yolo11n.yaml", Kind.YAML, "ultralytics-yolo11n"),
        ("net.pt2", Kind.EXPORTED, "pt2-net"),
    ],
)
def test_forms_of_a_model_and_their_names(source: str, kind: Kind, name: str) -> None:
    assert kind_of(source) is kind
    found = UserModel(ModelSpec(source=source, kind=kind))
    assert model_name(found.name, found.variants[0], FORWARD) == name
    id_ = f"{name}/b2/fp32@openvino"
    assert parse_id(id_).model == name


def test_what_names_no_model() -> None:
    for source in ("yolo26n-detect", "nothing", "a b:c", "net.onnx"):
        assert kind_of(source) is None
    assert find_model("yolo26n-detect").system == "yolo26"
    with pytest.raises(UserError, match=r"unknown model 'yolo26n-detct'; did you mean 'yolo26n-detect'\? Give "):
        find_model("yolo26n-detct")
    with pytest.raises(UserError, match=r"missing\.pt2 cannot be read: there is no such file"):
        find_model("missing.pt2")
    with pytest.raises(UserError, match="leave out --layers, --depth and --groups"):
        find_model("yolo26n-detect", depth=1)


def test_best_target_is_the_first_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    assert best_target() == ("xla" if load_target("xla").missing() is None else "openvino")
    monkeypatch.setattr("conformance.targets.base.missing_packages", lambda needs, name: "absent" if needs else None)
    assert best_target() == "emulator"


def test_spec_survives_the_way_to_another_process() -> None:
    asked = ModelSpec(source="mine:Net", kind=Kind.FACTORY, layers=("stem",), groups=(Group("boxes", stop=4),))
    found = load_system(asked.loaded_by)
    assert isinstance(found, UserModel)
    assert found.spec == asked
    again = load_system(found.built().loaded_by)
    assert isinstance(again, UserModel)
    assert again.spec.asked == asked
    assert again.layers("mine.Net", FORWARD) == ("stem",)


@pytest.mark.parametrize("source", ["mine:Net", "mine:Net(16)", "mine:instance"])
def test_factory_of_a_module_is_given_images(source: str) -> None:
    found = system(source)
    model = found.build("", FORWARD)
    assert model.layers == ("stem", "norm", "act", "head")
    assert not model.module.training
    assert not any(parameter.requires_grad for parameter in model.module.parameters())
    subject = Subject("own", "", FORWARD, 3, 16, 24, "float32")
    one, other = (found.inputs(subject, index)[0] for index in (0, 1))
    assert one.shape == (3, 3, 16, 24)
    assert 0 <= one.min() < one.max() <= 1
    pictures = [*one, *other]
    assert not any(torch.equal(a, b) for i, a in enumerate(pictures) for b in pictures[:i])


def test_factory_gives_the_same_weights_again() -> None:
    first, second = (of_factory("mine:Net").module for _ in range(2))
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


def test_own_inputs_and_others_made_of_them() -> None:
    found = system("mine:pair")
    assert found.built().shape is not None
    assert found.built().shape.batch == 4  # type: ignore[union-attr]
    subject = Subject("own", "", FORWARD, 4, None, None, "float32")
    one, other = (found.inputs(subject, index)[0] for index in (0, 1))
    assert one.shape == other.shape
    assert one.flatten().sort().values.equal(other.flatten().sort().values)
    assert not any(torch.equal(a, b) for a in one for b in other)


def test_inputs_by_name_and_by_number() -> None:
    subject = Subject("own", "", FORWARD, 2, None, None, "float32")
    x, shift = system("mine:named").inputs(subject, 0)
    assert (x.shape, shift.shape) == ((2, 3, 16, 24), (2, 1, 1, 1))
    assert [float(system("mine:numbered").inputs(subject, n)[0].mean()) for n in (0, 3)] == [0, 3]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("mine:nothing", r"mine:nothing cannot be loaded: AttributeError: module 'mine' has no attribute 'nothing'"),
        ("nobodys:net", r"nobodys:net cannot be loaded: ModuleNotFoundError"),
        ("mine:broken", r"mine:broken cannot be built: RuntimeError: no such weights"),
        ("mine:text", r"mine:text returns str; expected an nn\.Module, or one and its inputs"),
        ("mine:CALLS", r"mine:CALLS returns list; expected an nn\.Module"),
        ("mine:listed", r"its inputs are list; expected a tuple, or a dict, of tensors"),
        ("mine:misnamed", r"named image, and the first parameters of its forward are x: give these"),
        ("mine:breaking_inputs", r"its inputs cannot be made: RuntimeError: no such file"),
        ("mine:Net(width)", r"is no call of plain values, such as package\.module:factory\('small', 2\)"),
    ],
)
def test_factory_that_gives_no_model_is_one_line(source: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        system(source).built()
    assert "\n" not in str(error.value)


def test_own_inputs_say_their_size() -> None:
    model = described(find_model("mine:pair"), lambda name: load_system(name).built().loaded_by)  # type: ignore[attr-defined]
    selection = select_model(ModelRequest(model, ("openvino",)))
    assert [case.id for case in selection.models] == ["own-mine.pair/b4/fp32@openvino"]
    for option, chosen in (("--batch", Chosen(batches=[2])), ("--resolution", Chosen(resolutions=["8x8"]))):
        with pytest.raises(
            UserError, match=f"brings its own inputs, which say how large they are: leave out {option}"
        ):
            select_model(ModelRequest(model, ("openvino",), chosen))
    Image.new("RGB", (8, 8)).save("a.png")
    with pytest.raises(UserError, match="leave out --images"):
        select_model(ModelRequest(model, ("openvino",), pictures="."))


def nested(widths: dict[str, int]) -> nn.Module:
    """Blocks of blocks, each with so many layers inside."""

    class Block(nn.Sequential):
        pass

    class Stage(nn.Sequential):
        pass

    def layers(count: int) -> list[nn.Module]:
        return [nn.Sequential(nn.Conv2d(3, 3, 1), nn.SiLU()) for _ in range(count)]

    return nn.Sequential(*(Stage(*(Block(*layers(3)) for _ in range(count))) for count in widths.values()))


@pytest.mark.parametrize("stages", [[1], [2, 2], [2, 2, 2, 2], [3, 4, 6, 3], [10, 20, 30]])
def test_as_many_layers_are_chosen_as_can_be_read(stages: list[int]) -> None:
    module = nested({str(index): count for index, count in enumerate(stages)}).eval()
    chosen = choose_layers(module, (torch.rand(1, 3, 8, 8),), (), None)
    leaves = sum(stages) * 6
    assert (FEWEST if leaves >= FEWEST else leaves) <= len(chosen) <= MOST
    kinds = {type(module.get_submodule(path)).__name__ for path in chosen}
    depths = {path.count(".") for path in chosen}
    assert len(kinds) == len(depths) or len(depths) == 1  # of one class all or none


def test_layers_by_pattern_and_by_depth() -> None:
    module, x = nested({"a": 2, "b": 1}).eval(), (torch.rand(1, 3, 8, 8),)
    assert choose_layers(module, x, ("1", "0.*.2"), None) == ("0.0.2", "0.1.2", "1")
    assert choose_layers(module, x, (), 1) == ("0", "1")
    assert choose_layers(module, x, (), 2) == ("0.0", "0.1", "1.0")
    with pytest.raises(UserError, match="it has no layer '7'; the nearest is"):
        choose_layers(module, x, ("7",), None)


def test_layer_that_is_never_called_is_none() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare, self.same = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.used(self.same(x))  # type: ignore[no-any-return]

    x = (torch.rand(1, 3, 8, 8),)
    assert choose_layers(Unused(), x, (), None) == ("used",)
    with pytest.raises(UserError, match="its layer spare is never called"):
        choose_layers(Unused(), x, ("spare",), None)


def normed() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.Conv2d(8, 4, 1), nn.Sigmoid()).eval()


def test_constructed_weights_are_calibrated_and_trained_ones_left_alone() -> None:
    batches = [(torch.rand(4, 3, 16, 16),) for _ in range(2)]
    module, again = normed(), normed()
    assert is_constructed(module)
    for one in (module, again):
        calibrate(one, batches)
    assert not is_constructed(module)
    assert not any(part.training for part in module.modules())
    assert all(map(torch.equal, module.state_dict().values(), again.state_dict().values()))
    with torch.no_grad():
        logits = module[:4](batches[0][0])  # type: ignore[index]
    assert float(logits.std()) == pytest.approx(2, rel=1e-4)
    trained = normed()
    trained[1].running_mean.fill_(0.1)  # type: ignore[index]
    assert not is_constructed(trained)
    assert not is_constructed(nn.Sequential(nn.Conv2d(3, 8, 3)))


@pytest.mark.parametrize(("heads", "last"), [(True, ["boxes", "scores"]), (False, ["more"])])
def test_last_layers_are_those_that_an_output_is_made_of(heads: bool, last: list[str]) -> None:
    class Stream(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.boxes, self.scores = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1), nn.Linear(8, 2)
            self.branch, self.more = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            y = self.body(x).relu()
            y = y + self.branch(y)
            y = y + self.more(y)
            return (self.boxes(y).flatten(2) * 2, self.scores(y.flatten(2).mT).sigmoid()) if heads else (y,)

    module = Stream()
    names = {part: path for path, part in module.named_modules()}
    assert sorted(names[part] for part in last_layers(module, (torch.rand(2, 3, 8, 8),))) == last


def test_weights_are_said_and_asked_for() -> None:
    def head(**asked: Any) -> tuple[Tensor, tuple[str, ...]]:
        model = system("mine:Net", **asked).build("", FORWARD)
        return model.module.head.weight, model.notes  # type: ignore[union-attr, return-value]

    seeded, notes = head()
    assert notes == ("weights: seeded, and calibrated on images",)
    as_it_is, silent = head(calibrate=False)
    assert silent == ()
    assert not torch.equal(seeded, as_it_is)
    assert system("mine:Net").build("", FORWARD).key != system("mine:Net", calibrate=False).build("", FORWARD).key


def test_key_names_the_code_as_well(tmp_path: Path) -> None:
    """A reference that was kept is not that of a forward that was edited."""
    before = system("mine:Net").build("", FORWARD).key
    sys.modules.pop("mine")
    (tmp_path / "mine.py").write_text(FILE.replace("y + shift", "y - shift"))
    assert system("mine:Net", depth=1).build("", FORWARD).key != before


@pytest.mark.parametrize(
    "told",
    [
        "nn.LeakyReLU(float(told))",
        "Told(lambda x: x * float(told))",
        "Told(Factor(SimpleNamespace(all=[float(told)])))",
        "Told(Factor({'all': torch.tensor([float(told)])}['all'], 'raw'))",
    ],
)
def test_key_names_what_the_parts_are_told(told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two models with the same code and weights, neither is judged by the reference of the other: a file or the
    environment says how steep a slope is, or an argument."""
    (tmp_path / "slopes.py").write_text(SLOPES.replace("MADE", told))
    monkeypatch.setenv("SLOPE", "0.1")
    keys = [system(source).build("", FORWARD).key for source in ("slopes:build", "slopes:build(0.2)")]
    assert judged("slopes:build").status is Status.PASS
    monkeypatch.setenv("SLOPE", "0.3")
    keys.append(system("slopes:build", depth=1).build("", FORWARD).key)
    assert len(set(keys)) == 3
    assert judged("slopes:build", depth=1).status is Status.PASS
    assert system("slopes:build", depth=2).build("", FORWARD).key == keys[-1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("boxes,logits", (Group("boxes", 0), Group("logits", 1))),
        ("boxes=:4,scores=4:", (Group("boxes", 0, stop=4), Group("scores", 0, start=4))),
        ("boxes=:4,scores=4:,protos", (Group("boxes", 0, stop=4), Group("scores", 0, start=4), Group("protos", 1))),
        ("a=-1:", (Group("a", 0, start=-1),)),
    ],
)
def test_groups_that_a_user_names(text: str, found: tuple[Group, ...]) -> None:
    assert groups("--groups", text) == found


@pytest.mark.parametrize("text", ["a=", "a=4", "a=:", "a=x:y", "=1:2", "a,,b", "a,a"])
def test_groups_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="--groups"):
        groups("--groups", text)


class Given(nn.Module):
    """A convolution, and what is done to its output."""

    def __init__(self, after: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.stem, self.after = nn.Conv2d(3, 4, 3), after

    def forward(self, x: Tensor) -> Any:
        return self.after(self.stem(x))


class Locked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.lock = nn.Conv2d(3, 4, 3), threading.Lock()

    def forward(self, x: Tensor) -> Tensor:
        return self.stem(x)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Breach:
    make: Callable[[], nn.Module]
    said: str


BREACHES = {
    "lock": Breach(
        Locked, "it cannot be copied (TypeError: cannot pickle '_thread.lock' object), and every compiler"
    ),
    "lazy": Breach(lambda: nn.LazyConv2d(4, 3), "it has parameters without a shape: call it once"),
    "meta": Breach(lambda: Given(lambda y: y).to("meta"), "its weights are on the meta device, without values: load"),
    "script": Breach(lambda: torch.jit.script(nn.Conv2d(3, 4, 3)), "it is a ScriptModule, which has no layers"),
    "shapes": Breach(lambda: Given(lambda y: y[y > y.mean()]), "its output is ("),
    "constant": Breach(
        lambda: Given(lambda y: y * 0), "its outputs are the same for other images, so that a constant"
    ),
    "size": Breach(
        lambda: Given(lambda y: y.reshape(2, 7)), "it was given (2, 3, 32, 32), and may take another size"
    ),
    "nothing": Breach(
        lambda: Given(lambda y: None), "it gives a NoneType, in which there is no tensor: give tensors"
    ),
    "sparse": Breach(
        lambda: Given(lambda y: y.to_sparse()), "layout torch.sparse_coo, which cannot be compared: give"
    ),
    "random": Breach(lambda: Given(lambda y: y + torch.rand(1)), "and draw no random numbers there"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_breach_of_the_contract_is_one_line_about_the_model(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = BREACHES[name].make()
    monkeypatch.setattr(
        "conformance.systems.building.user_model.build.of_factory", lambda source: interpreted(source, module)
    )
    try:
        outcome = judged(f"mine:{name}")
    except ModelError as error:  # before there is a case
        said = str(error)
    else:
        assert (outcome.stage, outcome.status, outcome.signature) == (Stage.CAPTURE, Status.ERROR, MODEL)
        said = str(outcome.detail)
    assert BREACHES[name].said in said
    assert "\n" not in said


def test_not_finite_is_said_to_be_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    module = Given(lambda y: y / 0)
    monkeypatch.setattr(
        "conformance.systems.building.user_model.build.of_factory", lambda source: interpreted(source, module)
    )
    outcome = judged("mine:infinite")
    assert (outcome.status, outcome.models_own) == (Status.NONFINITE, True)
    assert "no answer can be right" in str(outcome.detail)


def test_dead_network_is_not_said_to_be_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answers for two images differ by less than its dtype can tell: they are the same on the CPU, too."""
    module = Given(lambda y: y * 1e-9 + 1)
    monkeypatch.setattr(
        "conformance.systems.building.user_model.build.of_factory", lambda source: interpreted(source, module)
    )
    assert judged("mine:dead").status in (Status.PASS, Status.NOT_JUDGED)


@pytest.mark.parametrize("target", ["toys:HEALTHY", "toys:OFF_BY_ONE"])
def test_own_model_is_judged(target: str) -> None:
    outcome = judged("mine:Net", target, groups=(Group("boxes", stop=4), Group("scores", start=4)))
    assert set(outcome.groups) == {"boxes", "scores"}
    assert outcome.status is (Status.PASS if target == "toys:HEALTHY" else Status.WRONG)
