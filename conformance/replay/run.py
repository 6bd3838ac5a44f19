"""An HLO file on all compilers, each answer beside the same module in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from conformance.compare.limits import limit
from conformance.compare.metrics import by_image, rel_l2, rel_peak
from conformance.core.errors import UserError, first_line
from conformance.replay.figures import OutputFigures, Replay, RunFigures
from conformance.replay.program import COMPILERS, Array, HloProgram, drawn, nudged, read_hlo, xla

_LIMITED = {"f16": "float16", "bf16": "bfloat16"}  # whose limits an output of this dtype has; float32's else


def replay(path: Path, values: Path | None, seed: int) -> Replay:
    """The module in a file on all compilers. Raises UserError."""
    program = read_hlo(path)
    if unknown := program.neurons_own:
        raise UserError(f"no other compiler knows what {', '.join(unknown)} computes")
    given, device = _named(values, program)
    arguments = drawn(program, given, seed)
    try:
        wide = xla(program.wide())
        reference, own = wide(arguments), xla(program)(arguments)
        valid = (own, wide(nudged(arguments, seed)))
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 (XLA's own)
        raise UserError(f"XLA for the CPU does not run it: {first_line(error)}") from None
    runs = []
    for name, compiler in COMPILERS.items():
        try:
            answer = own if compiler is xla else compiler(program)(arguments)
        except ImportError:
            runs.append(RunFigures(name, "is not installed: pip install 'neuron-conformance[replay]'", known=False))
        except Exception as error:  # noqa: BLE001 (a compiler's own: it is what is asked about)
            runs.append(RunFigures(name, first_line(error)))
        else:
            runs.append(RunFigures(name, outputs=_figures(program, answer, valid, reference)))
    if device:
        answers = [device.get(number) for number in range(len(program.outputs))]
        runs.append(RunFigures("device", outputs=_figures(program, answers, valid, reference), device=True))
    return Replay(program.instructions, len(program.parameters), len(given), program.outputs, tuple(runs))


def _figures(
    program: HloProgram,
    answer: Sequence[Array | None],
    valid: Sequence[Sequence[Array]],
    reference: Sequence[Array],
) -> tuple[OutputFigures | None, ...]:
    """Those of each output; None of one that is not there. `valid` are runs that are right."""
    return tuple(
        None if own is None else _of_output(shape, own, [run[number] for run in valid], reference[number])
        for number, (shape, own) in enumerate(zip(program.outputs, answer, strict=True))
    )


def _of_output(shape: str, answer: Array, valid: Sequence[Array], reference: Array) -> OutputFigures:
    allowed = limit(_LIMITED.get(shape.partition("[")[0], "float32"))
    if answer.shape != reference.shape:
        raise UserError(f"an output is {answer.shape}, and the module gives {reference.shape}")
    dtype = "complex128" if reference.dtype.kind == "c" else "float64"
    exact, mine, *others = (by_image([torch.from_numpy(x.astype(dtype))]) for x in (reference, answer, *valid))

    def ratio(measure: Callable[[Tensor, Tensor], Tensor]) -> float:
        baseline = torch.stack([measure(other, exact) for other in others]).amax(0).clamp(min=allowed.floor)
        return float((measure(mine, exact) / baseline).nan_to_num(torch.inf).max())

    largest = max(map(ratio, (rel_l2, rel_peak)))
    return OutputFigures(float(rel_l2(mine, exact).max()), largest, largest > allowed.outputs)


def _named(path: Path | None, program: HloProgram) -> tuple[dict[int, Array], dict[int, Array]]:
    """The tensors in a file that are named `parameter.0` and those named `output.1`, by number. Raises UserError for
    another name, and a number that there is none of."""
    found: dict[str, dict[int, Array]] = {"parameter": {}, "output": {}}
    counts = {"parameter": len(program.parameters), "output": len(program.outputs)}
    try:
        tensors = load_file(path) if path else {}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is no file of safetensors: {first_line(error)}") from None
    for name, tensor in tensors.items():
        kind, _, number = name.partition(".")
        if kind not in found or not number.isascii() or not number.isdecimal():
            raise UserError(f"{path}: {name} is no parameter.N and no output.N")
        if int(number) >= counts[kind]:
            raise UserError(f"{path}: there is no {name}: the module has {counts[kind]}")
        found[kind][int(number)] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return found["parameter"], found["output"]
