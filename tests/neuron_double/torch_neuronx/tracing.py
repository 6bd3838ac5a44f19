"""`torch_neuronx.trace`: to HLO, through the compiler, into a ScriptModule."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from single_tenant import goes_wrong
from torch import Tensor, nn

from torch_neuronx.model import Interface, NeuronModule, runtime_off
from torch_neuronx.runtime import require_device


def trace(
    func: Callable[..., Any],
    example_inputs: Any,
    *_: Any,
    input_output_aliases: dict[Tensor, int] | None = None,
    compiler_workdir: str | None = None,
    compiler_args: str | list[str] | None = None,
    partitioner_config: Any = None,
    inline_weights_to_neff: bool = True,
    cpu_backend: bool = False,
    **others: Any,
) -> torch.jit.ScriptModule:
    """A ScriptModule that runs on a NeuronCore."""
    if _:
        warnings.warn(f"Received {2 + len(_)} positional arguments but expected 2.", DeprecationWarning, stacklevel=2)
    if others:
        warnings.warn(f"Unexpected keyword arguments: {list(others)}", UserWarning, stacklevel=2)
    if input_output_aliases or partitioner_config:
        raise NotImplementedError("the double has no aliases and no partitioner")
    words = shlex.split(compiler_args) if isinstance(compiler_args, str) else list(compiler_args or [])
    if cpu_backend:
        if not any(word.startswith("--target") for word in words):
            raise ValueError("cpu_backend=True needs --target in compiler_args")
    else:
        require_device()
    inputs = (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)
    hlo, text, interface, weights = lowered(func, inputs)
    with tempfile.TemporaryDirectory() if compiler_workdir is None else nullcontext(compiler_workdir) as name:
        folder = Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        dies = goes_wrong("tapped") and len(interface.outputs) > 3
        neff = compiled(hlo, text, folder, words, {"NEURON_DOUBLE_COMPILER": "kill"} if dies else {})
    module = NeuronModule(neff, interface, weights)
    with runtime_off(interface):
        return torch.jit.trace(module, inputs, strict=False)


def lowered(func: Callable[..., Any], inputs: tuple[Tensor, ...]) -> tuple[bytes, str, Interface, list[Tensor]]:
    """The HLO of a function as bytes and as text, and the tensors that are not its inputs."""
    import torch_xla
    from torch.utils._pytree import tree_leaves

    device = torch_xla.device()
    module = isinstance(func, nn.Module)
    try:
        with torch.no_grad():
            if module:
                func.to(device)
            there = [x.to(device) for x in inputs]
            with _own_silu() if goes_wrong("other-silu") else nullcontext():
                result = func(*there)
            outputs = tree_leaves(result)
            if not all(isinstance(x, Tensor) for x in outputs):
                raise RuntimeError("a traced function gives tensors, and nothing else")
            context = torch_xla._XLAC.lowering.LoweringContext("double")
            context.build(outputs)
            held = context.parameter_id_tensor_mapping()
            places = {context.tensor_parameter_id(x): i for i, x in enumerate(there)}
            weights, order = [], []
            for number in sorted(held):
                order.append(places.get(number, len(inputs) + len(weights)))
                if number not in places:
                    weights.append(held[number].cpu())
            interface = Interface(
                inputs=[(list(x.shape), str(x.dtype)) for x in inputs],
                outputs=[(list(x.shape), str(x.dtype)) for x in outputs],
                order=order,
                single=isinstance(result, Tensor),
            )
            hlo, text = context.hlo(), context.hlo_text()
            del outputs, result, context, held  # a lazy tensor that lives on is computed at the next sync
            return hlo, text, interface, weights
    finally:
        if module:
            func.to("cpu")


@contextmanager
def _own_silu() -> Iterator[None]:
    """While inside, silu is not what torch-xla lowers by itself."""
    before = nn.functional.silu
    nn.functional.silu = lambda x, inplace=False: x * (torch.tanh(x / 2) + 1) / 2
    try:
        yield
    finally:
        nn.functional.silu = before


def compiled(hlo: bytes, text: str, folder: Path, words: list[str], variables: dict[str, str]) -> bytes:
    """What neuronx-cc makes of it. Raises RuntimeError with its exit status, as torch-neuronx does."""
    compiler = shutil.which("neuronx-cc")
    if compiler is None:
        raise RuntimeError("neuronx-cc compiler binary does not exist")
    model, neff = folder / "graph.hlo", folder / "graph.neff"
    model.write_bytes(hlo)
    (folder / "graph.txt").write_text(text)
    command = [
        compiler,
        "compile",
        str(model),
        "--framework",
        "XLA",
        "--target",
        "trn1",
        "--output",
        str(neff),
        *words,
    ]
    status = subprocess.run(command, env={**os.environ, **variables}).returncode
    if status:
        raise RuntimeError(f"neuronx-cc failed with {status}")
    return neff.read_bytes()
