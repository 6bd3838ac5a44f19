"""Constraints for pip that keep the torch of AWS's environment: python contrib/keep.py > keep.txt

Whatever is installed of torch and Neuron stays as it is; of a torchvision that is not, only the one that belongs to
the torch that is there may be taken: pip would take the newest, and a newer torch with it. Needs nothing but Python.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

KEPT = ("torch", "torchvision", "torch-xla", "torch-neuronx", "neuronx-cc", "libneuronxla")
# https://github.com/pytorch/vision#installation
TORCHVISION = {"2.6": "0.21", "2.7": "0.22", "2.8": "0.23", "2.9": "0.24", "2.10": "0.25", "2.13": "0.28"}


def installed(package: str) -> str | None:
    """The version of a distribution; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def constraints() -> list[str]:
    """Lines of a constraints file."""
    found = {name: there for name in KEPT if (there := installed(name))}
    lines = [f"{name}=={there}" for name, there in found.items()]
    line = ".".join(found.get("torch", "").split(".")[:2])
    if "torchvision" not in found and line in TORCHVISION:
        lines.append(f"torchvision=={TORCHVISION[line]}.*")
    return lines


if __name__ == "__main__":
    print("\n".join(constraints()))
