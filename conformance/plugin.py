"""The pytest face: options, parametrisation, scheduling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from conformance.cases import options
from conformance.cases.errors import UserError

if TYPE_CHECKING:
    from conformance.cases.case import Case
    from conformance.cases.expectation import Expectation
    from conformance.properties.parameters import Parameters
    from conformance.selection import Request, Selection

T = TypeVar("T")

SUITE = Path(__file__).resolve().parent / "suite"
EXPECTED: pytest.StashKey[dict[str, Expectation]] = pytest.StashKey()
SELECTION: pytest.StashKey[Selection] = pytest.StashKey()
PROPERTIES: pytest.StashKey[Parameters] = pytest.StashKey()
WHY: pytest.StashKey[options.Why] = pytest.StashKey()

# Fixture that a test asks for -> the cases it is run with.
AXES = {"model_case": "models", "layer_case": "layers", "minimal_case": "minimal", "detection_case": "detections"}

# What the id of a case says, so that nothing beside it can.
IN_ID = ("system", "variant", "task", "batch", "resolution", "dtype", "hardware", "sdk", "settings", "workarounds",
         "compile_only")  # fmt: skip


def pytest_addoption(parser: pytest.Parser) -> None:
    """The suite's options. Those that name an axis take a list, `n,s`, and replace the profile's."""
    group = parser.getgroup("conformance", "conformance: is a compiled vision model right? (pytest conformance)")
    group.addoption("--profile", default="quick", metavar="NAME", help="quick, full, or a TOML file (default: quick)")
    group.addoption("--target", metavar="NAMES", help="devices under test: emulator, xla, neuron, neuron-native, "
                    "openvino, onnxruntime, inductor, or package.module:attribute (default: profile's)")  # fmt: skip
    for axis, example in (
        ("system", "yolo26"), ("variant", "n,s"), ("task", "detect"), ("batch", "1,2,4"),
        ("resolution", "320x320,384x640"), ("dtype", "float32"), ("hardware", "inf2,trn2"), ("sdk", "2.28,2.29.1"),
    ):  # fmt: skip
        group.addoption(f"--{axis}", metavar="LIST", help=f"instead of the profile's, e.g. {example}")
    group.addoption("--settings", metavar="LIST", help="of targets that have any: none, or sets joined by +, e.g. "
                    "O1,O3+lnc1")  # fmt: skip
    group.addoption("--compile-only", action="store_true", help="compile, and run nothing: targets that need a "
                    "device compile without one")  # fmt: skip
    group.addoption(
        "--workarounds", metavar="LIST", help="none, or sets joined by +, e.g. none,slice+functionalization"
    )
    group.addoption("--weights", metavar="LIST", help="instead of seeded ones: shapes (the suite's), pretrained "
                    "(ultralytics', fetched), or files: .pt, .safetensors")  # fmt: skip
    group.addoption("--images", metavar="DIR", help="your own pictures, to count detections on with --weights, "
                    "letterboxed; labels.json in it, in COCO's form, gives AP")  # fmt: skip
    group.addoption("--case", metavar="ID", help="one case by its id, e.g. yolo26n-detect/b2/320x320/fp32@xla")
    group.addoption("--records", metavar="DIR", help="where records go (default: matrices/records)")
    group.addoption("--case-timeout", default=900, metavar="SECONDS",
                    help="after which a case is a timeout (default: 900)")  # fmt: skip
    group.addoption("--calls", default=4, metavar="N",
                    help="how often each program is called, with two sets of images (default: 4)")  # fmt: skip
    group.addoption("--expectations", metavar="FILE", help="what is accepted to fail, made by `conformance expect` "
                    "(default: matrices/expectations.toml)")  # fmt: skip
    group.addoption("--accept", action="store_true", help="property tests: write what fails as a case that is "
                    "expected to fail; say why with --link or --reason")  # fmt: skip
    group.addoption("--link", metavar="URL", help="with --accept: where it is reported")
    group.addoption("--reason", metavar="TEXT", help="with --accept: why that is no reason not to ship")
    group.addoption("--programs", metavar="DIR", help="where such cases are (default: fixtures/programs)")
    group.addoption("--fail-known", action="store_true", help="property tests: known defects are failures, too")


def request_of(config: pytest.Config) -> Request:
    """The request in the command line. Raises UserError."""
    from conformance.cases.expand import Chosen
    from conformance.selection import Request

    def read(reader: Callable[[str, str | None], T], name: str) -> T:
        return reader(f"--{name}", config.getoption(name))

    compile_only = config.getoption("compile_only")
    chosen = Chosen(
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
    profile, case, pictures = (read(options.given, name) for name in ("profile", "case", "images"))
    if case is not None:
        named = (f"--{axis.replace('_', '-')}" for axis in IN_ID if config.getoption(axis))
        if option := next(named, None):
            raise UserError(f"--case is one case, whose id says it all: leave out {option}")
    return Request(profile or "quick", read(options.names, "target"), chosen, case, pictures)


def _settings(sets: list[tuple[str, ...]] | None, compile_only: bool) -> list[tuple[str, ...]] | None:
    return [(*names, "compile-only") for names in sets or [()]] if compile_only else sets


def _require_places(config: pytest.Config) -> None:
    """Raises UserError where a folder that is named is none, or cannot be written to."""
    for name, written in (("records", True), ("programs", config.getoption("accept"))):
        if (folder := options.given(f"--{name}", config.getoption(name))) is not None:
            options.folder(f"--{name}", Path(folder), written)


@pytest.hookimpl(tryfirst=True)  # hypothesis loads the profile that is named when it is configured itself
def pytest_configure(config: pytest.Config) -> None:
    """Expand the cases before anything is collected: bad input is one line."""
    if not _collects_suite(config):
        return
    from conformance.properties.parameters import parameters
    from conformance.selection import select

    try:
        config.option.case_timeout = options.seconds("--case-timeout", config.getoption("case_timeout"))
        config.option.calls = options.calls("--calls", config.getoption("calls"))
        if named := config.getoption("--hypothesis-profile", None):
            from conformance.properties.profiles import chosen

            chosen(named)
        _require_places(config)
        accepts, link, reason = (config.getoption(name) for name in ("accept", "link", "reason"))
        options.only_with("--accept", accepts, link=link is not None, reason=reason is not None)
        config.stash[WHY] = options.why(link, reason, needed=accepts)
        config.stash[SELECTION] = selection = select(request_of(config))
        named, one_case = (config.getoption(option) is not None for option in ("target", "case"))
        config.stash[PROPERTIES] = parameters(selection, named, one_case, config.getoption("programs"))
        config.stash[EXPECTED] = _expected(config, selection)
    except Exception as error:  # also of anyone's own target or system
        from conformance.exits import described

        raise pytest.UsageError(described(error)[1]) from None


def _expected(config: pytest.Config, selection: Selection) -> dict[str, Expectation]:
    """What is accepted to fail, by id. Raises UserError, also for the id of a case that cannot be."""
    from conformance.cases.expectation import FILE, read_expectations

    given = options.given("--expectations", config.getoption("expectations"))
    if given and not Path(given).is_file():
        raise UserError(f"there is no file {given}; `conformance expect --accept` makes one")
    path = Path(given) if given else config.rootpath / FILE
    if expected := read_expectations(path):
        from conformance.cases.possible import require_possible
        from conformance.registry import load_system, load_target, system_names, target_names

        systems = {s.name: s for s in map(load_system, [*system_names(), *selection.systems.values()])}
        targets = {t.name: t for t in map(load_target, [*target_names(), *selection.targets.values()])}
        for id_ in expected:
            try:
                require_possible(id_, systems, targets)
            except UserError as error:
                raise UserError(f"{path}: {id_}: {error}") from None
    return expected


def pytest_report_header(config: pytest.Config) -> str | None:
    """What is about to run."""
    if (selection := config.stash.get(SELECTION, None)) is None:
        return None
    return f"conformance: profile {selection.profile} on {', '.join(selection.targets)}: {selection.counts}"


@pytest.hookimpl(tryfirst=True)  # before the terminal says how it ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run in which every test was skipped has judged nothing, and is no success: exit code 5, as of one without
    tests."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if SELECTION not in session.config.stash or terminal is None or session.exitstatus != pytest.ExitCode.OK:
        return
    if terminal.stats.get("skipped") and not any(map(terminal.stats.get, ("passed", "xfailed", "xpassed"))):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        terminal.write_line("conformance: nothing was judged, every test was skipped: -rs says why", red=True)


def _collects_suite(config: pytest.Config) -> bool:
    """Whether the arguments reach into the suite; other runs pay nothing for this plugin."""
    for argument in config.args:
        name = argument.partition("::")[0].partition("[")[0]
        path = (config.invocation_params.dir / name).resolve()
        if SUITE.is_relative_to(path) or path.is_relative_to(SUITE) or name.startswith("conformance.suite"):
            return True
    return False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every case that a suite test asks for, under its id; those that cannot be run here are skipped with why."""
    if not Path(metafunc.module.__file__).is_relative_to(SUITE):
        return
    if "setup" in metafunc.fixturenames:
        _generate_property_tests(metafunc)
    axis = next((name for name in AXES if name in metafunc.fixturenames), None)
    if axis is None:
        return
    selection = metafunc.config.stash[SELECTION]
    cases: list[Case] = getattr(selection, AXES[axis])
    values = [_parameter(selection.why_not(case), case) for case in cases] if selection.absent else cases
    metafunc.parametrize(axis, values, ids=[case.id for case in cases], scope="session")


def _generate_property_tests(metafunc: pytest.Metafunc) -> None:
    from conformance.properties.parameters import case_id

    selection, given = metafunc.config.stash[SELECTION], metafunc.config.stash[PROPERTIES]
    if "accepted" in metafunc.fixturenames:
        cases = given.cases(selection)
        pairs = [_parameter(selection.why_no_column(setup.column), accepted, setup) for accepted, setup in cases]
        metafunc.parametrize(("accepted", "setup"), pairs, ids=[case_id(*case) for case in cases])
    else:
        values = [_parameter(selection.why_no_column(setup.column), setup) for setup in given.setups]
        metafunc.parametrize("setup", values, ids=[str(setup) for setup in given.setups])


def _parameter(reason: str | None, *values: Any) -> Any:
    """The parameters of a test, which is skipped where there is a reason."""
    return pytest.param(*values, marks=[pytest.mark.skip(reason=reason)] if reason else [])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With -n, the cases of one model go to one worker, where it is built and captured once."""
    if SELECTION not in config.stash or config.getoption("dist") != "load":
        return None
    from conformance.scheduling import ModelScheduling

    return ModelScheduling(config, log)
