"""What a process needs to run a case: its environment, and NeuronCores that no other process of this host has."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from conformance.cases.case import Column
from conformance.core.errors import UserError
from conformance.host.cores import VISIBLE, Cores, host_cores
from conformance.programs.workarounds import variables
from conformance.targets.protocol import Target


class Leases:
    """The cores that this process holds: as many as its last case needed, next to each other."""

    def __init__(self, find: Callable[[], Cores] = host_cores, folder: Path | None = None) -> None:
        self._find = find
        self._folder = folder or Path(tempfile.gettempdir()) / "neuron-conformance"
        self._held: dict[int, FileLock] = {}

    def process(self, target: Target, column: Column) -> dict[str, str]:
        """The environment variables of a process for a column: the target's, those of its workarounds and settings,
        and where it needs NeuronCores these, and no others, visible. Raises UserError where they are not free."""
        found = {**target.variables, **variables(column.workarounds), **target.process(column.settings)}
        count = target.cores(column.settings)
        if not count:
            return found
        if len(self._held) != count:
            self.release()
            self._take(count)
        first, last = min(self._held), max(self._held)
        return found | {VISIBLE: str(first) if first == last else f"{first}-{last}"}

    def release(self) -> None:
        """Give all back."""
        for lock in self._held.values():
            lock.release()
        self._held.clear()

    def _take(self, count: int) -> None:
        cores = self._find()
        visible = cores.indices
        if len(visible) < count:
            why = cores.trouble or f"{VISIBLE} makes {len(visible)} visible"
            needed = "a NeuronCore is" if count == 1 else f"{count} NeuronCores are"
            raise UserError(f"{needed} needed: {why}; --compile-only needs none")
        if not self._folder.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o777)  # runs of other users take their cores here, too
        for first in visible:
            wanted = range(first, first + count)
            if set(wanted) <= set(visible) and self._lock(wanted):
                return
        wanted_ones = "core is" if count == 1 else f"{count} neighbouring cores are"
        raise UserError(
            f"no {wanted_ones} free of the {len(visible)} that are visible: run fewer workers (-n), or wait for the "
            "other run on this host"
        )

    def _lock(self, wanted: range) -> bool:
        for core in wanted:
            lock = FileLock(self._folder / f"core-{core}.lock", timeout=0, mode=0o666)
            try:
                lock.acquire()
            except Timeout:
                self.release()
                return False
            self._held[core] = lock
        return True
