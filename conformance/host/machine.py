"""The computer: platform, Python, CPUs, memory, and the name of the EC2 instance."""

from __future__ import annotations

import os
import platform
from contextlib import suppress

from conformance.host.facts import Machine
from conformance.host.instance import neuroncore_version
from conformance.host.probe import Host


def find_machine(host: Host, instance_type: str | None = None) -> Machine:
    """The machine, as that of an instance type: see `conformance.host.instance`."""
    return Machine(
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        environment=str(host.environment),
        cpus=_cpus(),
        memory=_memory(host),
        instance_type=instance_type,
        neuroncore=neuroncore_version(instance_type),
    )


def machine_name(host: Host | None = None) -> str:
    """`AMD EPYC 7R13, 2 CPUs, Linux x86_64`: what figures were measured on."""
    lines = ((host or Host()).read("proc/cpuinfo") or "").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return ", ".join(filter(None, (model, f"{_cpus()} CPUs", f"{platform.system()} {platform.machine()}")))


def has_avx512(host: Host | None = None) -> bool:
    """Whether the CPU has AVX-512, by which compilers choose their kernels."""
    return "avx512f" in ((host or Host()).read("proc/cpuinfo") or "").split()


def _cpus() -> int:
    """Those that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory(host: Host) -> int | None:
    """All of the machine, or the limit of the container."""
    limit = host.read("sys/fs/cgroup/memory.max") or ""
    sizes = [int(limit)] if limit.isdecimal() else []
    with suppress(AttributeError, OSError, ValueError):  # not every system has them
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min(sizes, default=None)
