"""A stand-in for torch-neuronx 2.9, built to its documentation and backed by torch-xla on the CPU. For tests alone.

    https://awsdocs-neuron.readthedocs-hosted.com/en/latest/frameworks/torch/torch-neuronx/api-reference-guide/inference/

What it does as the documented package: traces with torch-xla with functionalization off, hands the HLO to the program
called neuronx-cc on PATH, gives a ScriptModule around one fused operator that saves and loads, also in another
process, takes only the shapes and types it was traced for, needs a device to run, and the compiler's LNC there.
"""

from __future__ import annotations

import os

os.environ["NEURON_DOUBLE_PJRT"] = os.environ.get("PJRT_DEVICE", "NEURON")  # what was asked for
os.environ.setdefault("XLA_DISABLE_FUNCTIONALIZATION", "1")  # read when torch-xla is loaded
os.environ["PJRT_DEVICE"] = "CPU"

from torch_neuronx.analyzing import analyze
from torch_neuronx.model import DataParallel, dynamic_batch, move_trace_to_device
from torch_neuronx.tracing import trace

__version__ = "2.9.0.2.13.26312"
__all__ = ["DataParallel", "analyze", "dynamic_batch", "move_trace_to_device", "trace"]
