"""A recipe as one Python file that needs torch and the target's package alone: expected against got, and exit code 1
where the bug is there."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from math import prod
from typing import Any

from conformance.cases.case import stored_dtype
from conformance.localize.recipe import Recipe, Values

_BEFORE = {
    "xla": (
        "import os",
        "import sys",
        "",
        'os.environ.update(PJRT_DEVICE="CPU", XLA_DISABLE_FUNCTIONALIZATION="1")  # as torch-neuronx sets it',
    ),
}
_PACKAGES = {"xla": "torch_xla", "openvino": "openvino", "onnxruntime": "onnxruntime", "neuron": "torch_neuronx"}
_ONNX = (
    'torch.onnx.export(model, inputs, "program.onnx", dynamo={dynamo})',
    'session = onnxruntime.InferenceSession("program.onnx", providers=["CPUExecutionProvider"])',
    "feed = {slot.name: x.numpy() for slot, x in zip(session.get_inputs(), inputs)}",
    "got = [torch.from_numpy(y) for y in session.run(None, feed)]",
)
# Lines that make `got` of `model` and `inputs`.
_GOT: dict[str, tuple[str, ...]] = {
    "xla": (
        "device = torch_xla.device()",
        "got = [y.cpu() for y in model.to(device)(*(x.to(device) for x in inputs))]",
    ),
    "openvino": (
        "converted = openvino.convert_model(torch.export.export(model, inputs))",
        'settings = {"INFERENCE_PRECISION_HINT": "{precision}", "INFERENCE_NUM_THREADS": {threads}}',
        'compiled = openvino.compile_model(converted, "CPU", settings)',
        "got = [torch.from_numpy(y) for y in compiled([x.numpy() for x in inputs]).values()]",
    ),
    "onnxruntime": tuple(line.replace("{dynamo}", "True") for line in _ONNX),
    "onnxruntime-torchscript": tuple(line.replace("{dynamo}", "False") for line in _ONNX),
    "inductor": ('got = torch.compile(torch.export.export(model, inputs).module(), backend="inductor")(*inputs)',),
    "neuron": ("got = torch_neuronx.trace(model, example)(*inputs)",),
}
_OWN = ("got = expected  # put what your target gives for model and inputs in its place",)
# What torch-xla computes on the CPU while it traces is right here, and a constant of a program that is traced once.
_LEFT = (
    "from torch_xla.debug import metrics",
    "",
    'print("computed on the CPU while it was traced:", left := metrics.executed_fallback_ops())',
)


def runs_alone(target: str) -> bool:
    """Whether a script says all of how a target is called."""
    return target in _GOT


def script(
    recipe: Recipe, target: str, dtype: str, title: str, allowed: float, frozen: bool = False, threads: int = 1
) -> str:
    """The script for a target and a dtype: wrong is what is further than `allowed` from what the CPU gives, in the L2
    norm, or of another shape. `frozen` is of a fault that is seen by what is left to the CPU while the model is
    traced."""
    stored = stored_dtype(dtype)
    package = _PACKAGES.get(target.removesuffix("-torchscript"))
    precision = {"bfloat16": "bf16", "float16": "f16"}.get(stored, "f32")
    lines = [
        *(['"""' + title + '"""'] if len(title) < 112 else ['"""' + textwrap.fill(title, 114), '"""']),
        *_BEFORE.get(target, ("import sys", "")),
        "import torch",
        *([f"import {package}"] if package else []),
        "",
        "aten = torch.ops.aten",
        "",
        *_module(recipe),
        "",
        f"model = Net().eval(){_cast(stored)}",
        *_inputs(recipe, stored, "inputs", 0),
        *(_inputs(recipe, stored, "example", 1) if target == "neuron" else ()),
        "expected = model(*inputs)",
        *(
            line.replace("{precision}", precision).replace("{threads}", str(threads))
            for line in _GOT.get(target, _OWN)
        ),
        *(_LEFT if frozen else ()),
        f"wrong = {'bool(left)' if frozen else 'False'}",
        "for x, y in zip(got, expected):",
        '    print("got", [*x.shape], x.flatten()[:8].tolist(), "expected", [*y.shape], y.flatten()[:8].tolist())',
        f"    wrong |= x.shape != y.shape or not (x - y).double().norm() <= {allowed:.1g} * y.double().norm()",
        "sys.exit(wrong)",
    ]
    return "\n".join(lines) + "\n"


def module_text(recipe: Recipe) -> str:
    """The program and its inputs alone."""
    return "\n".join([*_module(recipe), "", *_inputs(recipe, "float32", "inputs", 0)])


def _cast(dtype: str) -> str:
    return "" if dtype == "float32" else f".to(torch.{dtype})"


def _module(recipe: Recipe) -> Iterator[str]:
    yield "class Net(torch.nn.Module):"
    if recipe.constants:
        yield "    def __init__(self):"
        yield "        super().__init__()"
        for number, (name, values) in enumerate(recipe.constants.items()):
            yield f'        self.register_buffer("{name}", {_made(values, 1000 + number)})'
        yield ""
    yield f"    def forward(self, {', '.join(recipe.inputs)}):"
    parts = {(call.args[0]["ref"], call.args[1]): call.name for call in recipe.calls if call.target == "getitem"}
    first = next(iter(recipe.inputs), "x")
    for call in recipe.calls:
        if call.target == "getitem":
            continue
        given = [_source(value, recipe, first) for value in call.args]
        given += [f"{key}={_source(value, recipe, first)}" for key, value in call.kwargs.items()]
        several = sorted(place for name, place in parts if name == call.name)
        names = [parts.get((call.name, place), "_") for place in range(several[-1] + 1)] if several else [call.name]
        rest = ", *_" if several else ""
        yield f"        {', '.join(names)}{rest} = {call.target}({', '.join(given)})"
    yield f"        return ({', '.join(recipe.outputs)},)"


def _source(value: Any, recipe: Recipe, first: str) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_source(part, recipe, first) for part in value)}]"
    if not isinstance(value, dict):
        return repr(value)
    ((kind, said),) = value.items()
    if kind == "ref":
        return f"self.{said}" if said in recipe.constants else str(said)
    if kind == "device":
        return f"{first}.device"
    return f'float("{said}")' if kind == "float" else f"torch.{said}"


def _inputs(recipe: Recipe, dtype: str, name: str, index: int) -> Iterator[str]:
    """The inputs of this index, in a line where they are few."""
    made = []
    for number, values in enumerate(recipe.inputs.values()):
        text, whole = _made(values, 10 * index + number), values.kind in ("integers", "truth")
        made.append(text if whole or dtype == "float32" else f"({text}){_cast(dtype)}")
    if sum(map(len, made)) < 90:
        yield f"{name} = ({', '.join(made)},)"
    else:
        yield f"{name} = ("
        yield from (f"    {text}," for text in made)
        yield ")"


def _made(values: Values, seed: int) -> str:
    shape = list(values.shape)
    generator = f"generator=torch.Generator().manual_seed({seed})"
    scale = f"{values.scale:g} * " if values.scale != 1 else ""
    return {
        "integers": f"torch.randint({values.high}, {shape}, {generator})",
        "truth": f"torch.rand({shape}, {generator}) < 0.5",
        "positive": f"torch.rand({shape}, {generator}) + 0.5",
        "ones": f"torch.ones({shape})",
        "steps": f"torch.arange({seed + 1}.0, {seed + prod(values.shape) + 1}).reshape({shape})",
    }.get(values.kind, f"{scale}torch.randn({shape}, {generator})")
