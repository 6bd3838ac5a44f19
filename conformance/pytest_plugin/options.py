"""The options of the suite. They collide with nobody's: their names are long, and short where the suite is run.

Another plugin may have `--profile` as well (pytest-profiling does), and pytest refuses two of one name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from conformance.cases import options
from conformance.core.errors import UserError

if TYPE_CHECKING:
    from conformance.selection.expand import Chosen
    from conformance.selection.select import Request

T = TypeVar("T")

SUITE = Path(__file__).resolve().parents[1] / "suite"
PREFIX = "--conformance-"
NAMES = (
    "profile", "target", "system", "variant", "task", "batch", "resolution", "dtype", "hardware", "sdk", "settings",
    "compile-only", "workarounds", "weights", "images", "case", "records", "case-timeout", "calls", "expectations",
    "accept", "link", "reason", "programs", "fail-known", "model", "layers", "depth", "groups", "isolated",
    "calibrate", "no-calibrate",
)  # fmt: skip
# What the id of a case says, so that nothing beside it can.
IN_ID = ("system", "variant", "task", "batch", "resolution", "dtype", "hardware", "sdk", "settings", "workarounds",
         "compile-only")  # fmt: skip
# What is said of one model.
OF_MODEL = ("layers", "depth", "groups", "isolated", "calibrate", "no-calibrate")


def given(config: pytest.Config, name: str) -> Any:
    """The value of an option, `case-timeout`."""
    return config.getoption(_dest(name))


def keep(config: pytest.Config, name: str, value: object) -> None:
    """Give an option the value that was read from it."""
    setattr(config.option, _dest(name), value)


def _dest(name: str) -> str:
    return f"conformance_{name.replace('-', '_')}"


def lengthened(args: Iterable[str]) -> list[str]:
    """A command line of the suite with the long name of each of its options."""
    long = {f"--{name}": f"{PREFIX}{name}" for name in NAMES}
    parts = (arg.partition("=") for arg in args)
    return [f"{long.get(name, name)}{equals}{value}" for name, equals, value in parts]


def reaches_suite(paths: Iterable[str], folder: Path) -> bool:
    """Whether arguments of pytest, seen from a folder, reach into the suite. A folder that has an environment in it
    does not: pytest looks into none."""
    for argument in paths:
        name = argument.partition("::")[0].partition("[")[0]
        path = (folder / name).resolve()
        if path in (SUITE.parent, SUITE.parents[1]) or path.is_relative_to(SUITE):
            return True
        if not path.exists() and (name == "conformance" or f"{name}.".startswith("conformance.suite.")):
            return True
    return False


def add(parser: pytest.Parser) -> None:
    """Register the options, under their long names. Those that name an axis take a list, `n,s`, and replace the
    profile's."""
    group = parser.getgroup(
        "conformance",
        "conformance: is a compiled vision model right? Where the suite is collected, as by `pytest conformance`, "
        "each has its short name, too: --profile, --target, ...",
    )

    def option(name: str, **settings: Any) -> None:
        group.addoption(f"{PREFIX}{name}", dest=_dest(name), **settings)

    option("profile", metavar="NAME", help="quick, full, or a TOML file (default: quick)")
    option("target", metavar="NAMES", help="devices under test: emulator, xla, neuron, neuron-native, "
                    "openvino, onnxruntime, inductor, or package.module:attribute (default: profile's)")  # fmt: skip
    for axis, example in (
        ("system", "yolo26"), ("variant", "n,s"), ("task", "detect"), ("batch", "1,2,4"),
        ("resolution", "320x320,384x640"), ("dtype", "float32"), ("hardware", "inf2,trn2"), ("sdk", "2.28,2.29.1"),
    ):  # fmt: skip
        option(axis, metavar="LIST", help=f"instead of the profile's, e.g. {example}")
    option("settings", metavar="LIST", help="of targets that have any: none, or sets joined by +, e.g. "
                    "O1,O3+lnc1")  # fmt: skip
    option("compile-only", action="store_true", help="compile, and run nothing: targets that need a "
                    "device compile without one")  # fmt: skip
    option("workarounds", metavar="LIST", help="none, or sets joined by +, e.g. none,slice+functionalization")
    option("weights", metavar="LIST", help="instead of seeded ones: shapes (the suite's), pretrained "
                    "(ultralytics', fetched), or files: .pt, .safetensors")  # fmt: skip
    option("images", metavar="DIR", help="your own pictures, to count detections on with --weights, "
                    "letterboxed; labels.json in it, in COCO's form, gives AP; with --model its inputs")  # fmt: skip
    option("model", metavar="MODEL", help="one model instead of a profile, as `conformance check` takes it: "
                    "package.module:factory, torchvision:resnet18, a .pt, .yaml or .pt2 file")  # fmt: skip
    option(
        "layers", metavar="LIST", help="with --model: paths or patterns, e.g. 'model.*,head'; else 20 to 60 of them"
    )
    option("depth", metavar="N", help="with --model: all layers at this depth")
    option("groups", metavar="LIST", help="with --model: names of its outputs, or of channels: boxes=:4,scores=4:")
    option("isolated", action="store_true", help="with --model: each layer compiled alone, too")
    option("calibrate", action="store_true", help="with --model: give its norms and head weights as trained ones "
                    "have; else where they are a constructor's")  # fmt: skip
    option("no-calibrate", action="store_true", help="with --model: leave its weights as they are")
    option("case", metavar="ID", help="one case by its id, e.g. yolo26n-detect/b2/320x320/fp32@xla")
    option("records", metavar="DIR", help="where records go (default: matrices/records)")
    option("case-timeout", default=900, metavar="SECONDS",
                    help="after which a case is a timeout (default: 900)")  # fmt: skip
    option("calls", default=4, metavar="N",
                    help="how often each program is called, with two sets of images (default: 4)")  # fmt: skip
    option("expectations", metavar="FILE", help="what is accepted to fail, made by `conformance expect` "
                    "(default: matrices/expectations.toml)")  # fmt: skip
    option("accept", action="store_true", help="property tests: write what fails as a case that is "
                    "expected to fail; say why with --link or --reason")  # fmt: skip
    option("link", metavar="URL", help="with --accept: where it is reported")
    option("reason", metavar="TEXT", help="with --accept: why that is no reason not to ship")
    option("programs", metavar="DIR", help="where such cases are (default: fixtures/programs)")
    option("fail-known", action="store_true", help="property tests: known defects are failures, too")


def request_of(config: pytest.Config) -> Request:
    """The request in the command line. Raises UserError."""
    from conformance.selection.select import Request

    for option in OF_MODEL:
        if given(config, option):
            raise UserError(f"--{option} is only for --model: leave it out")
    chosen = chosen_of(config)
    profile, case, pictures = (_read(config, options.given, name) for name in ("profile", "case", "images"))
    if case is not None:
        named = (f"--{axis}" for axis in IN_ID if given(config, axis))
        if option := next(named, ""):
            raise UserError(f"--case is one case, whose id says it all: leave out {option}")
    return Request(profile or "quick", _read(config, options.names, "target"), chosen, case, pictures)


def chosen_of(config: pytest.Config) -> Chosen:
    """The axes in the command line. Raises UserError."""
    from conformance.selection.expand import Chosen

    def read(reader: Callable[[str, str | None], T], name: str) -> T:
        return _read(config, reader, name)

    compile_only = given(config, "compile-only")
    return Chosen(
        named=given(config, "target") is not None,
        systems=read(options.names, "system"),
        variants=read(options.names, "variant"),
        tasks=read(options.names, "task"),
        batches=read(options.numbers, "batch"),
        resolutions=read(options.names, "resolution"),
        dtypes=read(options.names, "dtype"),
        hardware=read(options.names, "hardware"),
        sdks=read(options.names, "sdk"),
        weights=read(options.names, "weights"),
        settings=_settings(read(options.sets, "settings"), compile_only),
        workarounds=read(options.sets, "workarounds"),
    )


def _read(config: pytest.Config, reader: Callable[[str, str | None], T], name: str) -> T:
    return reader(f"--{name}", given(config, name))


def _settings(sets: list[tuple[str, ...]] | None, compile_only: bool) -> list[tuple[str, ...]] | None:
    return [(*names, "compile-only") for names in sets or [()]] if compile_only else sets
