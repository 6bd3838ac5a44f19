"""A module with workarounds is like any other, and computes the same wherever it is called, captured or loaded."""

# mypy: allow-untyped-calls, no-warn-return-any

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import conformance
from conformance.core.errors import UserError
from conformance.graphs.fx_match import operator
from conformance.programs.workarounds import WORKAROUNDS

ALL = tuple(name for name, one in WORKAROUNDS.items() if one.context is not None and name != "chunk")


class Stage(nn.Module):
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(8, 1, 1) * 2)
        self.register_buffer("shift", torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.conv(x).split([2, 6], dim=1)
        y = torch.cat([b, a], 1) * self.scale + self.shift
        y[y > 1.4] = 1.3
        return y


class Net(nn.Module):
    """Something of everything that has a workaround."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.up = nn.Upsample(scale_factor=1.5, mode="bicubic")
        self.pool = nn.MaxPool2d(3, 1, 1, 2)
        self.adapt = nn.AdaptiveAvgPool2d(5)
        self.shuffle = nn.ChannelShuffle(2)
        self.deconv = nn.ConvTranspose2d(8, 8, 2, 2, groups=8)

    def forward(self, x: Tensor, *, gain: float = 1.0) -> Tensor:
        y = self.stage(x)
        sampled = F.grid_sample(y, y[:, :2].movedim(1, -1).tanh(), align_corners=False)
        z = self.shuffle(self.up(self.pool(sampled)))
        small = F.pixel_unshuffle(z[:, :2, :12, :12], 4).mean((2, 3))[:, :8, None, None]
        return (self.adapt(self.deconv(z)) + F.unfold(z, 3).mean() + z.unfold(2, 3, 1).mean() + small) * gain


def made() -> tuple[Net, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net().eval().requires_grad_(False), torch.rand(2, 3, 12, 10)


def require_close(found: Any, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def changed(names: set[str]) -> set[str]:
    """Those of these operators that a workaround should have changed; with zeros the rewrites pad themselves."""
    return names & {name for one in WORKAROUNDS.values() for name in one.changes if name != "pad"}


def test_it_is_the_module_under_another_forward() -> None:
    module, x = made()
    fixed = conformance.apply_workarounds(module, *ALL)
    assert isinstance(fixed, Net)
    assert type(module) is Net, "the module itself is left as it was"
    assert repr(fixed) == repr(module)
    assert type(fixed).__qualname__ == "Net"
    assert list(fixed.state_dict()) == list(module.state_dict())
    assert [path for path, _ in fixed.named_modules()] == [path for path, _ in module.named_modules()]
    assert [path for path, _ in fixed.named_parameters()] == [path for path, _ in module.named_parameters()]
    assert fixed.stage is module.stage, "what it is made of is shared"
    require_close(fixed(x, gain=2.0), module(x) * 2)
    assert fixed.train().training == module.training
    assert fixed.double().eval().stage.scale.dtype == torch.float64
    fixed.load_state_dict({key: value * 0 for key, value in fixed.state_dict().items()})
    assert not fixed(x.double()).any()


def net() -> tuple[nn.Module, tuple[Tensor, ...]]:
    module, x = made()
    return module, (x,)


def fixed() -> tuple[nn.Module, tuple[Tensor, ...]]:
    module, x = made()
    return conformance.apply_workarounds(module, *ALL), (x,)


def test_lint_finds_nothing_in_it() -> None:
    spec = conformance.TraceSpec((2, 12, 10))
    found = conformance.lint(f"{__name__}:net", spec, "inf2", "2.29.1")
    assert {one.defect for one in found} >= {"split-with-sizes", "frozen-fallback", "views-refused"}
    assert conformance.lint(f"{__name__}:fixed", spec, "inf2", "2.29.1") == []


def test_names_add_up_and_stand_once() -> None:
    module, x = made()
    twice = conformance.apply_workarounds(conformance.apply_workarounds(module, "slice"), "resize", "slice")
    found = ran(lambda: twice(x))
    assert "split_with_sizes" not in found
    assert "upsample_bicubic2d" not in found
    assert "channel_shuffle" in found
    assert type(twice) is type(conformance.apply_workarounds(module, "slice", "resize"))


def ran(call: Callable[[], object]) -> set[str]:
    """The operators that are called."""
    from conformance.operators.parts import Dependent, written_down

    names: set[str] = set()
    with written_down(lambda func, args, kwargs: names.add(func._schema.name.partition("::")[2]), Dependent()):
        call()
    return names


def _pickled(module: nn.Module) -> Any:
    return pickle.loads(pickle.dumps(module))


def _saved(module: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, _pickled, _saved])
def test_copies_are_independent_and_have_it_too(copied: Callable[[nn.Module], Any]) -> None:
    module, x = made()
    found = copied(conformance.apply_workarounds(module, *ALL))
    wanted = module(x)
    require_close(found(x), wanted)
    assert type(found) is type(conformance.apply_workarounds(module, *ALL))
    assert changed(ran(lambda: module(x)))
    assert not changed(ran(lambda: found(x)))
    found.stage.scale.data.zero_()
    assert torch.equal(module(x), wanted)


def test_shallow_copy_shares_its_parts() -> None:
    module, x = made()
    found = copy.copy(conformance.apply_workarounds(module, *ALL))
    assert found.stage is module.stage
    vars(found)["more"] = 1
    assert not hasattr(module, "more")
    assert not changed(ran(lambda: found(x)))


@pytest.mark.parametrize("strict", [False, True])
def test_exported_and_loaded_it_has_the_other_spellings(strict: bool) -> None:
    module, x = made()
    fixed = conformance.apply_workarounds(module, *ALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(fixed, (x,), strict=strict)
    assert not changed({operator(node) for node in exported.graph.nodes})
    assert set(exported.state_dict) == set(module.state_dict())
    file = io.BytesIO()
    torch.export.save(exported, file)
    file.seek(0)
    for program in (exported, torch.export.load(file)):
        require_close(program.module()(x * 0.5), module(x * 0.5))


def test_exported_with_a_batch_of_any_size() -> None:
    module, x = made()
    fixed = conformance.apply_workarounds(module, *(name for name in ALL if name != "as_strided"))
    exported = torch.export.export(fixed, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert not changed({operator(node) for node in exported.graph.nodes})
    more = torch.cat((x, x.flip(0), x * 0.5))
    require_close(exported.module()(more), module(more))


def test_traced_and_loaded_it_has_the_other_spellings() -> None:
    module, x = made()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Converting a tensor")
        traced = torch.jit.trace(conformance.apply_workarounds(module, *ALL), x)
    assert not changed({node.kind().partition("::")[2] for node in traced.inlined_graph.nodes()})
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    for program in (traced, torch.jit.load(file)):
        require_close(program(x * 0.5), module(x * 0.5))


def test_compiled_it_has_the_other_spellings() -> None:
    module, x = made()
    seen: set[str] = set()

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        seen.update(getattr(node.target, "__name__", str(node.target)) for node in graph.graph.nodes)
        return graph

    compiled = torch.compile(conformance.apply_workarounds(module, *ALL), backend=backend, fullgraph=True)
    require_close(compiled(x), module(x))
    assert "linear" in seen
    assert not changed(seen) | seen & {
        "split",
        "interpolate",
        "grid_sample",
        "conv_transpose2d",
        "adaptive_avg_pool2d",
    }


def test_context_has_it_as_long_as_it_lasts() -> None:
    module, x = made()
    wanted = module(x)
    with conformance.workarounds(*ALL):
        require_close(module(x), wanted)
        assert not changed(ran(lambda: module(x)))
    assert changed(ran(lambda: module(x)))


def test_context_that_is_not_entered_does_nothing() -> None:
    context = conformance.workarounds("slice")
    x = torch.rand(2, 6)
    assert "split_with_sizes" in ran(lambda: x.split([2, 4], 1))
    with context:
        assert "split_with_sizes" not in ran(lambda: x.split([2, 4], 1))


def test_contiguous_makes_a_copy() -> None:
    module = nn.Linear(3, 2)
    module.weight.data = torch.rand(3, 2).T
    fixed = conformance.apply_workarounds(module, "contiguous")
    assert fixed.weight.is_contiguous()
    assert not module.weight.is_contiguous()
    x = torch.rand(4, 3)
    require_close(fixed(x), module(x))


class Patched(nn.ReLU):
    def __init__(self) -> None:
        super().__init__()
        self.forward = lambda input: input  # type: ignore[method-assign]  # noqa: A006


def captured(kind: str) -> Any:
    module, x = nn.ReLU().eval(), torch.rand(2)
    return torch.jit.trace(module, x) if kind == "jit" else torch.export.export(module, (x,)).module()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conformance.workarounds("slcie"), "unknown workaround 'slcie'; did you mean 'slice'?"),
        (lambda: conformance.workarounds(), "name a workaround, or several (known: slice, chunk"),
        (
            lambda: conformance.workarounds("slice", "functionalization"),
            "set XLA_DISABLE_FUNCTIONALIZATION=0 in the environment before torch_xla is imported",
        ),
        (lambda: conformance.workarounds("contiguous"), "conformance.apply_workarounds(module, 'contiguous')"),
        (lambda: conformance.apply_workarounds(nn.ReLU(), "slcie"), "did you mean 'slice'?"),
        (lambda: conformance.apply_workarounds(nn.ReLU()), "name a workaround, or several"),
        (lambda: conformance.apply_workarounds(nn.ReLU(), "functionalization"), "is a switch of the process"),
        (lambda: conformance.apply_workarounds(torch.relu, "slice"), "not to builtin_function_or_method"),  # type: ignore[type-var]
        (lambda: conformance.apply_workarounds(captured("jit"), "slice"), "was captured already"),
        (lambda: conformance.apply_workarounds(captured("export"), "slice"), "was captured already"),
        (lambda: conformance.apply_workarounds(Patched(), "slice"), "with conformance.workarounds(...)"),
    ],
)
def test_what_cannot_be_done_is_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def alone(code: str, *refused: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own that can import torch, what torch needs, and nothing else."""
    needed = {"torch", "torchgen", "functorch", "typing_extensions", "sympy", "mpmath", "networkx", "jinja2"}
    needed |= {"markupsafe", "filelock", "fsspec", "optree", "conformance"} - set(refused)
    hook = f"""
        import sys
        from importlib.machinery import PathFinder

        class Alone(PathFinder):
            @classmethod
            def find_spec(cls, name, path=None, target=None):
                top = name.partition(".")[0]
                there = top in sys.stdlib_module_names or top in {sorted(needed)!r} or "_sysconfigdata" in top
                return super().find_spec(name, path, target) if there else None

        sys.meta_path[sys.meta_path.index(PathFinder)] = Alone
    """
    root = str(Path(conformance.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(hook) + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": root},
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_it_needs_torch_alone_and_what_comes_of_it_needs_nothing_of_it(tmp_path: Path) -> None:
    made = """
        import torch, conformance
        from torch import nn

        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Upsample(scale_factor=1.5, mode="bicubic"), nn.ChannelShuffle(2))
        net, x = net.eval().requires_grad_(False), torch.rand(2, 3, 5, 6)
        fixed = conformance.apply_workarounds(net, *%r)
        torch.save((x, net(x)), "wanted.pt")
        torch.jit.save(torch.jit.trace(fixed, x), "net.ts")
        torch.export.save(torch.export.export(fixed, (x,), strict=False), "net.pt2")
        with conformance.workarounds("resize"):
            assert torch.allclose(net(x), fixed(x), atol=1e-5)
    """
    done = alone(made % (ALL,), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    read = """
        import torch

        x, wanted = torch.load("wanted.pt")
        for net in (torch.jit.load("net.ts"), torch.export.load("net.pt2").module()):
            torch.testing.assert_close(net(x), wanted, rtol=1e-4, atol=1e-5)
        print(*sys.modules)
        import conformance
    """
    done = alone(read, "conformance", folder=tmp_path)
    assert done.stderr.strip().endswith("No module named 'conformance'"), done.stderr
    assert "torch" in done.stdout.split()
