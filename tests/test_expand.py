"""Profiles expand to cases; whatever cannot be is one line that says what would be right."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import tomlkit
import toys

from conformance.cases.profile import Profile, load_profile, profile_names
from conformance.cases.releases import releases, resolve
from conformance.core.errors import UserError
from conformance.selection.expand import Chosen, check_offers, expand
from conformance.selection.select import Request, select
from conformance.targets.emulator import Emulator
from conformance.targets.protocol import TargetOffer

BLOCK = {"system": "toy", "variants": ["1"], "tasks": ["detect"]}
PROFILE = Profile.model_validate(
    {
        "description": "",
        "targets": ["emulator"],
        "models": [
            {**BLOCK, "batches": [1, 2], "resolutions": ["16", "16x24"]},
            {**BLOCK, "batches": [2], "resolutions": ["16"], "isolated": True},
        ],
        "target": {"emulator": {"hardware": ["inf2"], "sdks": ["2.28", "2.29.1"], "workarounds": [[], ["slice"]]}},
    }
)


def ids(chosen: Chosen, profile: Profile = PROFILE) -> list[str]:
    cases = expand(profile, chosen, {"toy": toys.Toy()}, {"emulator": Emulator()})
    return [case.id for case in cases]


def test_product_of_the_axes_models_and_isolated_layers() -> None:
    found = ids(Chosen())
    assert len(found) == len(set(found)) == (2 * 2 + 4) * 2 * 2
    assert "toy1-detect/b2/16x24/fp32@emulator/inf2/sdk-2.28.0" in found
    assert "toy1-detect/b2/16x16/fp32/halves@emulator/inf2/sdk-2.29.1+slice" in found


def test_command_line_takes_the_place_of_an_axis_and_repeats_nothing() -> None:
    chosen = Chosen(batches=[8], sdks=["2.31"], hardware=["trn2"], workarounds=[()], resolutions=["32x8"])
    found = ids(chosen)
    assert found[0] == "toy1-detect/b8/32x8/fp32@emulator/trn2/sdk-2.31.0"
    assert len(found) == 1 + 4


class Switched:
    """A target with settings, on one of the two families that it can stand for."""

    name = "switched"
    hardware = ("inf2", "trn2")
    default_hardware = ("trn2",)
    sdks = ("2.29.1 or so",)
    settings = {"O1": "less", "O3": "more"}

    def offers(self, setting: str) -> bool:
        return setting in self.settings


def test_settings_are_an_axis_of_the_targets_that_have_them() -> None:
    targets: dict[str, TargetOffer] = {"emulator": Emulator(), "switched": Switched()}

    def columns(chosen: Chosen) -> set[str]:
        return {case.id.partition("@")[2] for case in expand(PROFILE, chosen, {"toy": toys.Toy()}, targets)}

    mine = {name for name in columns(Chosen(named=True, workarounds=[()])) if name.startswith("switched")}
    assert mine == {"switched/trn2/sdk-2.29.1 or so"}
    asked = Chosen(named=True, workarounds=[()], settings=[(), ("O1",), ("O1", "O3")], hardware=["inf2"])
    assert columns(asked) == {
        "emulator/inf2/sdk-2.28.0",
        "emulator/inf2/sdk-2.29.1",
        "switched/inf2/sdk-2.29.1 or so",
        "switched/inf2/sdk-2.29.1 or so/O1",
        "switched/inf2/sdk-2.29.1 or so/O1/O3",
    }
    with pytest.raises(UserError, match="unknown setting of emulator and switched 'O2'; did you mean"):
        check_offers(Chosen(settings=[("O2",)]), targets)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (Chosen(variants=["3"]), "unknown toy variant '3' .known: 1, 2"),
        (Chosen(tasks=["detekt"]), "unknown toy task 'detekt'; did you mean 'detect'"),
        (Chosen(batches=[0]), "batch 0 is impossible"),
        (Chosen(resolutions=["20x16"]), "height 20 is not divisible by 8; try 16"),
        (Chosen(resolutions=["0x16"]), "resolution 0x16 is impossible: a side is 1 to 16384 pixels"),
        (Chosen(resolutions=["10000000x8"]), "resolution 10000000x8 is impossible: a side is 1 to 16384"),
        (Chosen(resolutions=["9" * 5000]), "resolution 9+… is impossible: a side is"),
        (Chosen(resolutions=["١٦"]), "is not HEIGHTxWIDTH"),
        (Chosen(batches=[10**9]), "batch 1000000000 of 16x16 is impossible: 768,000,000,000 values"),
        (Chosen(batches=[-1]), "batch -1 is impossible"),
        (Chosen(dtypes=["float31"]), "unknown dtype 'float31'; did you mean"),
        (Chosen(sdks=["1.0"]), "unknown SDK release '1.0'"),
    ],
)
def test_what_cannot_be(chosen: Chosen, message: str) -> None:
    with pytest.raises(UserError, match=message):
        ids(chosen)


TEN = [str(number) for number in range(10)]


@pytest.mark.parametrize(
    ("block", "axes", "message"),
    [
        (dict.fromkeys(("variants", "tasks", "resolutions", "dtypes", "weights"), TEN * 10), {}, "40,000,000,000"),
        ({}, {"workarounds": [[]] * 200, "settings": [[]] * 200, "hardware": ["inf2"] * 3}, "240,000 columns"),
        ({"variants": []}, {}, "models.0.variants: List should have at least 1 item"),
    ],
)  # fmt: skip
def test_profile_that_multiplies_to_more_than_can_be_is_refused_before_it_is_expanded(
    tmp_path: Path, block: dict[str, list[str]], axes: dict[str, list[object]], message: str
) -> None:
    said = {"description": "", "targets": ["emulator"]}
    model = {**BLOCK, "batches": [1, 2], "resolutions": ["16"], **block}
    target = {"emulator": {"hardware": ["inf2"], "sdks": ["2.28", "2.29.1"], **axes}}
    (tmp_path / "mine.toml").write_text(tomlkit.dumps({**said, "models": [model], "target": target}))
    started = time.monotonic()
    with pytest.raises(UserError, match=message):
        ids(Chosen(), load_profile(str(tmp_path / "mine.toml")))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(profile="quik"), "unknown profile 'quik'; did you mean 'quick'"),
        (Request(targets=["emulater"]), "unknown target 'emulater'; did you mean 'emulator'"),
        (Request(targets=["nowhere:AT_ALL"]), "cannot load target 'nowhere:AT_ALL'"),
        (Request(targets=["toys:HEALTHY", "toys:STALE"]), "two targets are called 'planted'"),
        (Request(targets=["toys:ABSENTEE"]), "absentee needs nothing_of_the_kind: pip install"),
        (Request(chosen=Chosen(workarounds=[("slize",)])), "unknown workaround 'slize'; did you mean 'slice'"),
        (Request(chosen=Chosen(hardware=["inf3"])), "unknown hardware of .* 'inf3'; did you mean 'inf2'"),
        (Request(targets=["toys:HEALTHY"], chosen=Chosen(sdks=["2.26"])), "unknown SDK release of .* '2.26.0'"),
        (
            Request(chosen=Chosen(systems=["yolo27"])),
            "unknown system of profile quick 'yolo27'; did you mean 'yolo26'",
        ),
        (Request(case="yolo26q-detect/b2/320x320/fp32@emulator/inf2/sdk-2.29.1"), "unknown model 'yolo26q-detect'"),
        (Request(case="split:x/b2/fp32@emulator/inf2/sdk-2.29.1"), "no case 'split:x/b2/fp32.*nearest is '"),
        (Request(case="yolo26n-detect/b2/321x320/fp32@emulator/inf2/sdk-2.29.1"), "height 321 is not divisible"),
        (
            Request(case="yolo26n-detect/b2/320x320/fp32@emulator/inf9/sdk-2.29.1"),
            "unknown hardware of emulator 'inf9'",
        ),
        (
            Request(case="yolo26n-detect/b2/320x320/fp32/model.99@emulator/inf2/sdk-2.29.1"),
            "no case .*model.99.*nearest",
        ),
    ],
)
def test_what_cannot_be_asked_for(request_: Request, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        select(request_)
    assert "\n" not in str(error.value)


def test_unknown_key_of_a_profile_names_the_near_match(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('description = ""\ntargets = []\n[[models]]\nsystem = "toy"\nvariant = ["1"]\n')
    with pytest.raises(
        UserError, match=r"mine.toml: unknown key 'models.0.variant'; did you mean 'models.0.variants'"
    ):
        load_profile(str(path))
    path.write_text("description = ")
    with pytest.raises(UserError, match="not valid TOML"):
        load_profile(str(path))
    with pytest.raises(UserError, match=r"cannot read .*absent.toml: No such file"):
        load_profile(str(tmp_path / "absent.toml"))


def test_every_profile_that_comes_with_the_suite_expands() -> None:
    assert set(profile_names()) >= {"quick", "full"}
    for name in profile_names():
        selection = select(Request(name))
        assert selection.models
        assert selection.minimal


def test_one_case_by_its_id() -> None:
    text = "yolo26x-detect/b3/640x640/fp32@emulator/trn1/sdk-2.29.1+slice"
    selection = select(Request(case=text))
    assert [case.id for case in selection.models] == [text]
    assert selection.layers == []
    assert selection.minimal == []


def test_releases() -> None:
    assert resolve("2.28") == "2.28.0"
    assert releases()["2.29.1"].packages == {
        "neuronx-cc": "2.24.8799.0",
        "torch-neuronx": "2.9.0.2.13.26312",
        "torch-xla": "2.9",
        "libneuronxla": "2.2.16408.0",
        "aws-neuronx-runtime-lib": "2.31.24.0",
    }
    assert [name for name, release in releases().items() if release.torch_neuronx_native] == ["2.33.0"]


def test_block_for_some_targets_is_for_all_that_are_named() -> None:
    block = PROFILE.models[1].model_copy(update={"targets": ["another"]})
    profile = PROFILE.model_copy(update={"models": [block]})
    assert ids(Chosen(), profile) == []
    assert len(ids(Chosen(named=True), profile)) == 4 * 2 * 2
