"""Troubles of a Neuron host that are no failure of what was to run: how the runtime and the compiler say them."""

from __future__ import annotations

import re

from conformance.core.errors import UserError
from conformance.host.cores import VISIBLE

# A core that cannot be had, in the words of torch-neuronx, of PJRT, and of the runtime on the console:
# aws-neuron-sdk#902, #1338; optimum-neuron#377.
_NO_CORE = re.compile(
    r"neuron runtime (?:could not|cannot) be initialized"
    r"|cannot determine the number of available neuroncores"
    r"|pjrt_client_create.{0,300}num_devices > 0"  # in one message, which may have several lines
    r"|nrt_allocate_neuron_cores.{0,300}not available"
    r"|(?:neuroncores?|cores?) (?:is |are )?busy.{0,300}ret=-16",
    re.IGNORECASE | re.DOTALL,
)


class HostTrouble(UserError):
    """The host could not run it now: nothing was tested, and another time it may be."""


def no_core(said: str) -> bool:
    """Whether the runtime says that it gets no NeuronCore."""
    return _NO_CORE.search(said) is not None


def core_trouble(cores: str | None) -> HostTrouble:
    """The trouble of a runtime that gets none of these cores."""
    return HostTrouble(
        f"the runtime gets no NeuronCore {cores or 'that is visible'}: another program holds it (neuron-ls names the "
        f"process), or the driver is too old for the runtime (see the system log); {VISIBLE} chooses others"
    )
