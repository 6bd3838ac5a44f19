"""A program as a Python script that runs by itself: torch and the target's own calls, nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.cases.case import stored_dtype
from conformance.properties.module import operator_of, seed_of, weight_name, weights
from conformance.properties.program import ProgramSpec, Step
from conformance.properties.setups import Setup

# Target -> lines before torch is imported; lines that give `compiled`, a function of the inputs.
_BEFORE = {
    "xla": (
        "import os",
        "",
        "# as torch-neuronx sets it",
        'os.environ.update(PJRT_DEVICE="CPU", XLA_DISABLE_FUNCTIONALIZATION="1")',
    ),
}
_EXPORTED = "exported = torch.export.export(model, inputs)"
_ONNX = (
    "import onnxruntime",
    "",
    "{export}",
    'session = onnxruntime.InferenceSession("program.onnx", providers=["CPUExecutionProvider"])',
    "names = [slot.name for slot in session.get_inputs()]",
    "",
    "",
    "def compiled(*inputs):",
    "    feed = {name: x.numpy() for name, x in zip(names, inputs)}",
    "    return tuple(map(torch.from_numpy, session.run(None, feed)))",
)
_COMPILED: dict[str, tuple[str, ...]] = {
    "xla": (
        "import copy",
        "",
        "import torch_xla",
        "",
        "device = torch_xla.device()",
        "lazy = copy.deepcopy(model).to(device)",
        "",
        "",
        "def compiled(*inputs):",
        "    outputs = lazy(*(x.to(device) for x in inputs))",
        "    torch_xla.sync()",
        "    return tuple(y.cpu() for y in outputs)",
    ),
    "openvino": (
        "import openvino",
        "",
        f"converted = openvino.convert_model({_EXPORTED.partition(' = ')[2]})",
        'request = openvino.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "{precision}"})',
        "",
        "",
        "def compiled(*inputs):",
        "    outputs = request([x.numpy() for x in inputs])",
        "    return tuple(torch.from_numpy(outputs[i].copy()) for i in range(len(outputs)))",
    ),
    "onnxruntime": tuple(
        line.replace("{export}", 'torch.onnx.export(model, inputs, "program.onnx", dynamo=True)') for line in _ONNX
    ),
    "onnxruntime-torchscript": tuple(
        line.replace("{export}", 'torch.onnx.export(model, inputs, "program.onnx", dynamo=False)') for line in _ONNX
    ),
    "inductor": (
        _EXPORTED,
        'compiled = torch.compile(exported.module(), backend="inductor", fullgraph=True, dynamic=False)',
    ),
}
_OWN = ("compiled = model  # put what your target compiles in its place",)


def script(program: ProgramSpec, setup: Setup) -> str:
    """The script for a case's target and dtype. It prints the error of each output."""
    dtype = stored_dtype(setup.dtype)
    precision = {"bfloat16": "bf16", "float16": "f16"}.get(dtype, "f32")
    return "\n".join(
        [
            *_BEFORE.get(setup.column.target, ()),
            "import torch",
            "import torch.nn.functional as F",
            "",
            "",
            *_module(program),
            "",
            "",
            *_inputs(program, dtype),
            "",
            *(line.replace("{precision}", precision) for line in _COMPILED.get(setup.column.target, _OWN)),
            "",
            "",
            *_comparison(),
        ]
    )


def _module(program: ProgramSpec) -> list[str]:
    """The class."""
    made = weights(program)
    lines = ["class Net(torch.nn.Module):"]
    if any(made):
        lines += ["    def __init__(self):", "        super().__init__()"]
        for number, constants in enumerate(made):
            for index, (name, weight) in enumerate(constants.items()):
                source = weight.source(seed_of(number, index))
                lines.append(f'        self.register_buffer("{weight_name(number, name)}", {source})')
        lines.append("")
    names = [f"x{index}" for index in range(len(program.inputs))]
    lines.append(f"    def forward(self, {', '.join(names)}):")
    for number, step in enumerate(program.steps):
        given = [f"self.{weight_name(number, name)}" for name in made[number]]
        lines.append("        " + _step(number, step, names, given))
    return [*lines, f"        return ({', '.join(names[index] for index in program.outputs)},)"]


def _step(number: int, step: Step, names: list[str], constants: Sequence[str]) -> str:
    """One assignment; what it names is added to the names."""
    given = [names[index] for index in step.inputs]
    source = operator_of(step).spelling.source([*given, *constants], step.arguments)
    letters = [f"y{number}"] if step.results == 1 else [f"y{number}_{i}" for i in range(step.results)]
    names += letters
    comma = "," if operator_of(step).many and step.results == 1 else ""
    return f"{', '.join(letters)}{comma} = {source}"


def _inputs(program: ProgramSpec, dtype: str) -> list[str]:
    """Model and inputs: as `example_inputs` makes those of index 0."""
    shapes = ", ".join(f"spread({1000 + index}, {list(shape)})" for index, shape in enumerate(program.inputs))
    return [
        "def spread(seed, shape):",
        "    values = torch.randperm(torch.Size(shape).numel(), generator=torch.Generator().manual_seed(seed))",
        "    return ((values + 0.5) * (4 / values.numel()) - 1.31373).reshape(shape)",
        "",
        "",
        "torch.set_grad_enabled(False)",
        f"exact = ({shapes},)",
        "reference = Net().eval().double()(*(x.double() for x in exact))",
        f"model = Net().eval().to(torch.{dtype})",
        f"inputs = tuple(x.to(torch.{dtype}) for x in exact)",
    ]


def _comparison() -> list[str]:
    """What is printed: other shapes, or the errors; beside those of torch itself."""
    return [
        "def compared(answer, wanted):",
        "    if answer.shape != wanted.shape:",
        '        return f"{tuple(answer.shape)} instead of {tuple(wanted.shape)}"',
        '    return f"error {float((answer.double() - wanted).norm() / wanted.norm()):.3g}"',
        "",
        "",
        "for i, (answer, own, wanted) in enumerate(zip(compiled(*inputs), model(*inputs), reference)):",
        '    print(f"output {i}: {compared(answer, wanted)}; torch itself: {compared(own, wanted)}")',
        "",
    ]
