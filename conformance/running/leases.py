"""What a process needs to run a case: its environment, and NeuronCores that no other process of this host has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from conformance.cases.case import Column
from conformance.core.errors import UserError
from conformance.host.cores import LNC, VISIBLE, Cores, host_cores, host_lock
from conformance.programs.workarounds import variables
from conformance.targets.protocol import Target

PATIENCE = 10.0  # seconds that cores are waited for which other processes of this host hold
_AGAIN = 0.5


def _nobody() -> None:
    """No process holds cores."""


class Leases:
    """The cores that this process holds: as many as its last case needed, next to each other. Physical ones: how many
    of them make a logical one, by which the runtime counts, is a setting of a case. `end` ends the processes that
    hold them, before they are given back."""

    def __init__(
        self,
        find: Callable[[], Cores] = host_cores,
        folder: Path | None = None,
        end: Callable[[], None] = _nobody,
    ) -> None:
        self._find = find
        self._folder = folder
        self._end = end
        self._held: dict[int, FileLock] = {}
        self._needed = (0, 0)  # logical cores, and physical ones in each

    def process(self, target: Target, column: Column) -> dict[str, str]:
        """The environment variables of a process for a column: the target's, those of its workarounds and settings,
        and where it needs NeuronCores these, and no others, visible. Raises UserError where they are not free."""
        found = {**target.variables, **variables(column.workarounds), **target.process(column.settings)}
        count = target.cores(column.settings)
        if not count:
            return found
        lnc = int(found.get(LNC) or self._find().lnc)
        if self._needed != (count, lnc):
            self.release()
            self._take(count, lnc)
            self._needed = (count, lnc)
        first, last = min(self._held) // lnc, max(self._held) // lnc
        return found | {VISIBLE: str(first) if first == last else f"{first}-{last}"}

    def release(self) -> None:
        """Give all back, once nothing holds them any more."""
        if self._held:
            self._end()
        self._unlock()
        self._needed = (0, 0)

    def _unlock(self) -> None:
        for lock in self._held.values():
            lock.release()
        self._held.clear()

    def _take(self, count: int, lnc: int) -> None:
        cores = self._find()
        visible = {index * cores.lnc + part for index in cores.indices for part in range(cores.lnc)}
        choices = list(_neighbours(visible, count, lnc))
        if len(visible) < count * lnc:
            why = cores.trouble or f"{VISIBLE} makes {len(visible) // lnc} visible"
            needed = "a NeuronCore is" if count == 1 else f"{count} NeuronCores are"
            raise UserError(f"{needed} needed: {why}; --compile-only needs none")
        until = time.monotonic() + PATIENCE
        while not any(map(self._lock, choices)):
            if not choices or time.monotonic() > until:
                wanted = "core is" if count == 1 else f"{count} neighbouring cores are"
                raise UserError(
                    f"no {wanted} free of the {len(visible) // lnc} that are visible: run fewer workers (-n), or "
                    "wait for the other run on this host"
                )
            time.sleep(_AGAIN)

    def _lock(self, wanted: range) -> bool:
        for core in wanted:
            lock = host_lock(f"core-{core}", folder=self._folder)
            try:
                lock.acquire()
            except Timeout:
                self._unlock()
                return False
            self._held[core] = lock
        return True


def _neighbours(physical: set[int], count: int, lnc: int) -> Iterator[range]:
    """The runs of physical cores that make so many logical ones: each begins where a logical core does."""
    for first in sorted(physical):
        wanted = range(first, first + count * lnc)
        if first % lnc == 0 and physical >= set(wanted):
            yield wanted
