"""What neuron-monitor counts of a process: proof that its programs ran on a NeuronCore.

https://awsdocs-neuron.readthedocs-hosted.com/en/latest/tools/neuron-sys-tools/neuron-monitor-user-guide.html
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from threading import Thread
from typing import IO, Any

from conformance.host.probe import Host

_SECONDS = 1  # between two reports
_PATIENCE = 2.0 * _SECONDS
_CONFIG = {
    "period": f"{_SECONDS}s",
    "neuron_runtimes": [{"tag_filter": ".*", "metrics": [{"type": "execution_stats"}]}],
    "system_metrics": [],
}
_GROUPS = ("execution_summary", "error_summary")  # since the report before


class Monitor:
    """neuron-monitor, beside the processes that use NeuronCores; without effect on a host that has none."""

    def __init__(self, host: Host | None = None) -> None:
        self._counts: dict[int, Counter[str]] = defaultdict(Counter)
        self._reports = 0
        self._config = Path(tempfile.gettempdir(), f"conformance-monitor-{os.getpid()}.json")
        self._config.write_text(json.dumps(_CONFIG))
        self._process = _started((host or Host()).tool("neuron-monitor"), self._config)
        if self._process:
            Thread(target=self._read, args=[self._process.stdout], daemon=True).start()

    @property
    def runs(self) -> bool:
        """Whether anything is counted here."""
        return self._process is not None and self._process.poll() is None

    def counted(self, process: int) -> dict[str, int]:
        """What it has counted of a process since this was asked before, with the next report, which is waited for:
        executions and errors, by kind."""
        reports, until = self._reports, time.monotonic() + _PATIENCE
        while self.runs and self._reports == reports and time.monotonic() < until:
            time.sleep(0.05)
        return dict(sorted(self._counts.pop(process, Counter()).items()))

    def close(self) -> None:
        """End it."""
        self._config.unlink(missing_ok=True)
        if self._process:
            self._process.kill()
            self._process.wait()

    def _read(self, reports: IO[str]) -> None:
        for line in reports:
            with suppress(ValueError, KeyError, TypeError, AttributeError):  # another form than is documented
                self._add(json.loads(line))
            self._reports += 1

    def _add(self, report: Any) -> None:
        for runtime in report["neuron_runtime_data"]:
            stats = runtime["report"]["execution_stats"]
            for group in _GROUPS:
                self._counts[runtime["pid"]].update({name: count for name, count in stats[group].items() if count})


def _started(tool: str | None, config: Path) -> subprocess.Popen[str] | None:
    if tool is None:
        return None
    try:
        return subprocess.Popen([tool, "-c", str(config)], stdout=PIPE, stderr=DEVNULL, stdin=DEVNULL, text=True)
    except OSError:
        return None
