"""NeuronCores as the doubles have them: what one process has taken no other gets, until it ends.

`NEURON_DOUBLE` names what else goes wrong on such a host, separated by commas:

busy-start      two processes that start within 50 ms both find the cores busy
slow-release    a core stays busy for two seconds after its process has ended
pjrt, cannot    the first start on the host gets no core, and says so in other words; of several the first ones
sigabrt         the same, and the process is aborted
console         the same; what is raised says nothing, the console does
never           no start gets a core
lnc-clash       a device has one number of physical cores in a logical one at a time, whoever asks
tapped          the compiler is killed by a program that gives more than three outputs
litter          the compiler leaves files where it is started
uncounted       neuron-monitor sees no execution
other-silu      the front end traces silu as other operators, as AWS's makes a custom call of it
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

NO_RUNTIME = (
    "The PyTorch Neuron Runtime could not be initialized. Neuron Driver issues are logged to your system logs."
)
# aws-neuron-sdk#902, #1338; optimum-neuron#377
_TEXTS = {
    "pjrt": "Bad StatusOr access: INVALID_ARGUMENT: PJRT_Client_Create: error condition !(num_devices > 0)",
    "cannot": "Neuron runtime cannot be initialized; cannot determine the number of available NeuronCores",
    "sigabrt": "nrt init: The PyTorch Neuron Runtime could not be initialized.",
    "console": "ERROR  TDRV:nrt_allocate_neuron_cores    NeuronCore(s) not available",
}
_NEAR = 0.05
_RELEASE = 2
_taken: dict[int, IO[str]] = {}


def goes_wrong(what: str) -> bool:
    """Whether the host is to have this trouble."""
    return what in os.environ.get("NEURON_DOUBLE", "").split(",")


def take(first: int, last: int, lnc: int = 1) -> None:
    """Take the physical cores from one to another, of which so many make a logical one. Raises RuntimeError, in the
    runtime's words, where they are taken."""
    if not _taken:
        _start()
        if goes_wrong("lnc-clash") and any(other != lnc for other in _others()):
            raise RuntimeError(NO_RUNTIME)
    for core in range(first, last + 1):
        if core in _taken:
            continue
        file = _device(f"core{core}").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(NO_RUNTIME) from None
        _taken[core] = file
        file.truncate(0)
        file.write(str(lnc))
        file.flush()
        if goes_wrong("slow-release"):
            wait = f"import os, time\nwhile os.getppid() == {os.getpid()}: time.sleep(0.05)\ntime.sleep({_RELEASE})"
            subprocess.Popen([sys.executable, "-c", wait], pass_fds=[file.fileno()], start_new_session=True)


def _others() -> Iterator[int]:
    """How many physical cores make a logical one for the processes that hold any."""
    for path in _device("").glob("core*"):
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                yield int(path.read_text() or 1)


def _start() -> None:
    if goes_wrong("busy-start"):
        starts, now = _device("starts"), time.time()
        with starts.open("a") as file:
            file.write(f"{now}\n")
        time.sleep(2 * _NEAR)
        if sum(abs(float(line) - now) < _NEAR for line in starts.read_text().split()) > 1:
            raise RuntimeError("NRT: NeuronCores busy, ret=-16")
    if goes_wrong("never"):
        raise RuntimeError(NO_RUNTIME)
    for what, said in _TEXTS.items():
        if goes_wrong(what) and _count(what) <= 1:
            _fail(what, said)


def _fail(what: str, said: str) -> None:
    if what in ("sigabrt", "console"):
        os.write(2, f"{said}\n".encode())
    if what == "sigabrt":
        os.abort()
    raise RuntimeError("Init provider failed" if what == "console" else said)


def _count(what: str) -> int:
    """How many processes of this host have started so far, this one with them."""
    with _device(what).open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(".")
        file.flush()
        return file.tell()


def _device(name: str) -> Path:
    return Path(os.environ["CONFORMANCE_HOST"], "dev", name)


def ran() -> None:
    """Count an execution of this process, for neuron-monitor."""
    with _device(f"ran-{os.getpid()}").open("a") as file:
        file.write("" if goes_wrong("uncounted") else ".")


def visible(default: str) -> tuple[int, int]:
    """The first and the last core that this process may use."""
    first, _, last = (os.environ.get("NEURON_RT_VISIBLE_CORES") or default).partition("-")
    return int(first), int(last or first)
