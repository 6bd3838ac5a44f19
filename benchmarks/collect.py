"""What collecting about 20,000 cases costs, beside stock pytest collecting as many parametrized items.

Both in turn, several times, in processes of their own; prints the medians and their ratio.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

ROUNDS = 5
SUITE = Path(__file__).parents[1] / "conformance"
PROFILE = """
description = "As many cases as a matrix of many hosts would have."
targets = ["emulator"]

[[models]]
system = "yolo26"
variants = ["n", "s", "m", "l", "x"]
tasks = ["detect"]
batches = [{batches}]
resolutions = ["320x320", "384x640", "640x640", "640x1280"]
"""
STOCK = """
import pytest

IDS = [f"yolo26n-detect/b{{i}}/384x640/fp32@emulator/inf2/sdk-2.29.1" for i in range({count})]

@pytest.mark.parametrize("case", IDS, ids=IDS)
def test_model(case):
    pass
"""


def collect(*arguments: str) -> tuple[float, int]:
    """(seconds, items) of one collection."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments]
    start = perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = perf_counter() - start
    found = re.search(r"(\d+) tests collected", done.stdout)
    assert found, done.stdout[-500:]
    return seconds, int(found[1])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        profile, stock = Path(folder, "many.toml"), Path(folder, "test_stock.py")
        profile.write_text(PROFILE.format(batches=", ".join(map(str, range(1, 4)))))
        count = collect(str(SUITE), "--profile", str(profile))[1]
        stock.write_text(STOCK.format(count=count))
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(collect(str(SUITE), "--profile", str(profile))[0])
            theirs.append(collect(str(stock), "-p", "no:conformance")[0])
    print(f"{count} items, medians of {ROUNDS} rounds")
    print(f"conformance  {median(ours):6.2f} s")
    print(f"stock pytest {median(theirs):6.2f} s")
    print(f"ratio        {median(ours) / median(theirs):6.2f}")


if __name__ == "__main__":
    main()
