"""What is not needed is not imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import conformance

HEAVY = ("torch", "ultralytics", "openvino", "onnxruntime", "torch_xla")


@pytest.mark.parametrize(
    "code",
    [
        "import conformance",
        "import conformance.pytest_plugin.plugin",
        "from conformance.commands.cli import *; [get_command(app).load(name) for name in COMMANDS]",
        "import conformance.report.write",
        "from conformance.selection.select import Request, select; select(Request('full'))",
        "import conformance.suite.test_models, conformance.suite.test_layers, conformance.suite.test_regressions",
        "from conformance.targets.loading import *; [load_target(t).missing() for t in target_names()]",
        "from conformance.systems.loading import *; [load_system(s).missing() for s in system_names()]",
    ],
)
def test_no_heavy_package_is_imported(code: str) -> None:
    check = f"from typer.main import get_command; {code}; import sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_selecting_cases_imports_no_numpy() -> None:
    selected = "from conformance.selection.select import Request, select; select(Request('full'))"
    code = f"{selected}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numpy" not in done.stdout.split()


def test_overview_of_commands_loads_none() -> None:
    code = "from conformance.commands.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"import sys; {code}"], capture_output=True, text=True, check=True)
    assert "What is different between two runs." in done.stdout
    assert "conformance.commands.diff" not in done.stdout.split()


def test_what_is_public_is_there() -> None:
    assert sorted(conformance._HOME_OF) == sorted(conformance.__all__)
    assert all(getattr(conformance, name) is not None for name in conformance.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        conformance.nothing  # noqa: B018


def test_ultralytics_installs_nothing() -> None:
    """Left to itself, it runs pip for what it misses."""
    pytest.importorskip("ultralytics")
    check = (
        "import conformance.systems.building.ultralytics_models, ultralytics; print(ultralytics.utils.AUTOINSTALL)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "YOLO_AUTOINSTALL"}
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"
