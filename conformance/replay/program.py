"""What an HLO file holds, and how XLA for the CPU and IREE run it. Imports jax: only `run` imports this."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.extend.backend
import numpy as np
from jaxlib import xla_client

from conformance.core.errors import UserError, first_line

Array = np.ndarray[Any, Any]

jax.config.update("jax_enable_x64", True)
_HLO = getattr(xla_client, "hlo", xla_client._xla)  # a module of its own since jaxlib 0.10
_FLOATS = re.compile(r"\b(?:f32|f16|bf16|c64)(?=\[)")
_CUSTOM = re.compile(r'custom_call_target="([^"]*)"')
_KINDS = "an HloModuleProto (graph.hlo of a compiler's work folder), an HloProto (XLA's dump) or the text of a module"


@dataclass(frozen=True)
class HloProgram:
    """A module. `parameters` and `outputs` are shapes with their dtypes, as numpy has them."""

    computation: Any
    text: str
    parameters: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...]
    outputs: tuple[str, ...]

    @property
    def neurons_own(self) -> tuple[str, ...]:
        """The custom calls that only Neuron's compiler knows."""
        return tuple(sorted({name for name in _CUSTOM.findall(self.text) if name.startswith("AwsNeuron")}))

    @property
    def instructions(self) -> int:
        """How many it has."""
        return self.text.count(" = ")

    def wide(self) -> HloProgram:
        """The same in float64, with the same constants. Raises UserError where XLA does not take that."""
        return _parsed(_FLOATS.sub(lambda found: "c128" if found[0] == "c64" else "f64", self.text))


def read_hlo(path: Path) -> HloProgram:
    """The module in a file. Raises UserError where there is none."""
    data = path.read_bytes()
    for candidate in (data, _unwrapped(data)):
        try:
            return _described(xla_client.XlaComputation(candidate))
        except Exception:  # noqa: BLE001 (jaxlib's own, of several kinds)
            continue
    try:
        return _parsed(data.decode())
    except (UnicodeDecodeError, UserError):
        raise UserError(f"it is no HLO: {_KINDS}") from None


def _parsed(text: str) -> HloProgram:
    try:
        module = _HLO.hlo_module_from_text(text)
        return _described(xla_client.XlaComputation(module.as_serialized_hlo_module_proto()))
    except Exception as error:  # noqa: BLE001 (jaxlib's own, of several kinds)
        raise UserError(f"XLA does not read it: {first_line(error)}") from None


def _described(computation: Any) -> HloProgram:
    shape = computation.program_shape()
    result = shape.result_shape()
    outputs = result.tuple_shapes() if result.is_tuple() else [result]
    return HloProgram(
        computation,
        computation.as_hlo_text(True),
        tuple((tuple(one.dimensions()), np.dtype(one.numpy_dtype())) for one in shape.parameter_shapes()),
        tuple(re.sub(r"\{.*", "", str(one)) for one in outputs),
    )


def _unwrapped(data: bytes) -> bytes:
    """The first field of a protocol buffer, which of an HloProto is its module."""
    length = shift = 0
    for place, byte in enumerate(data[1:11], 2):
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return data[place : place + length]
    return data


def drawn(program: HloProgram, given: Mapping[int, Array], seed: int) -> list[Array]:
    """Values for all parameters: those that are given, others from a seed. Matrices and images are of a normal
    distribution scaled to what is summed over; vectors, which may be variances, from 0.5 to 1.5; whole numbers 0 or
    1. Raises UserError for a given one of another shape."""
    random = np.random.default_rng(seed)
    values: list[Array] = []
    for number, (shape, dtype) in enumerate(program.parameters):
        if dtype.kind in "biu":
            value: Array = random.integers(0, 2, shape)
        elif len(shape) < 2:
            value = random.uniform(0.5, 1.5, shape)
        else:
            value = random.standard_normal(shape) / math.sqrt(max(1, math.prod(shape[1:])))
        if (own := given.get(number)) is not None:
            if own.shape != shape:
                raise UserError(f"parameter.{number} is {own.shape}, and the module takes {shape}")
            value = own
        values.append(np.asarray(value).astype(dtype))
    return values


def nudged(values: Sequence[Array], seed: int) -> list[Array]:
    """The same in float64, each within half a unit in its last place: as if its dtype had rounded it again."""
    random = np.random.default_rng(seed)
    return [
        value
        if value.dtype.kind in "biu"
        else value.astype(float)
        * (1 + random.uniform(-0.5, 0.5, value.shape) * float(jax.numpy.finfo(value.dtype).eps))
        for value in values
    ]


Compiled = Callable[[Sequence[Array]], list[Array]]


def xla(program: HloProgram) -> Compiled:
    """The program as XLA for the CPU compiles it."""
    client = jax.extend.backend.get_backend("cpu")
    devices = client.local_devices()[:1]
    loaded = client.compile_and_load(
        _stablehlo(program), xla_client.DeviceList(tuple(devices)), xla_client.CompileOptions()
    )

    def run(values: Sequence[Array]) -> list[Array]:
        places = zip(values, program.parameters, strict=True)
        given = [jax.device_put(value.astype(dtype), devices[0]) for value, (_, dtype) in places]
        found = loaded.execute_sharded(given).disassemble_into_single_device_arrays()
        return [np.asarray(one[0]) for one in found]

    return run


def iree(program: HloProgram) -> Compiled:
    """The program as IREE compiles it for the CPU."""
    from iree import compiler, runtime

    code = compiler.compile_str(
        _stablehlo(program),
        input_type="stablehlo",
        target_backends=["llvm-cpu"],
        extra_args=["--iree-llvmcpu-target-cpu=host"],
    )
    module = runtime.load_vm_flatbuffer(code, driver="local-task")

    def run(values: Sequence[Array]) -> list[Array]:
        found = module.main(*values)
        return [one.to_host() for one in (found if isinstance(found, (list, tuple)) else (found,))]

    return run


def _stablehlo(program: HloProgram) -> bytes:
    code: bytes = xla_client._xla.mlir.hlo_to_stablehlo(program.computation.as_serialized_hlo_module_proto())
    return code


COMPILERS: Mapping[str, Callable[[HloProgram], Compiled]] = {
    f"XLA for the CPU, jaxlib {version('jaxlib')}": xla,
    "IREE": iree,
}
