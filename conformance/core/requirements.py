"""What is installed, and which extra brings what is not."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping


def missing_packages(needed: Mapping[str, str], name: str) -> str | None:
    """Which of {module: extra} cannot be found, and how to install them; None where all can. Imports nothing."""
    absent = {module: extra for module, extra in needed.items() if importlib.util.find_spec(module) is None}
    if not absent:
        return None
    extras = ",".join(sorted(set(absent.values())))
    return f"{name} needs {', '.join(absent)}: pip install 'neuron-conformance[{extras}]'"
