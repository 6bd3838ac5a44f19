"""Every output of a model and of its layers in float64, and what each layer was fed with; kept on disk."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten_with_path

from conformance.core.errors import ModelError, first_line, not_there
from conformance.core.store import Store, digest
from conformance.golden.promoting import promoting
from conformance.programs.arguments import encoded, numbers, renumbered
from conformance.programs.program import Isolated, Whole, tensors

_ALIKE = 1e-4  # how far apart runs of one program at its own dtype may be


@dataclass(frozen=True)
class Golden:
    """What went through a model for one set of inputs.

    `values` are the distinct tensors; `outputs`, each layer's `results` and the tensors in each layer's `arguments`
    (see `conformance.programs.arguments`) are their numbers. `written` are those that were overwritten later. `names`
    are what the outputs are called, `types` the layers' class names.
    """

    values: tuple[Tensor, ...]
    outputs: list[int]
    names: list[str]
    results: dict[str, list[int]]
    arguments: dict[str, Any]
    types: dict[str, str]
    written: list[int]

    @property
    def shown(self) -> list[int]:
        """The numbers of the values of layers that are no outputs, each once."""
        given = dict.fromkeys(number for results in self.results.values() for number in results)
        return [number for number in given if number not in self.outputs]

    def tapped(self, module: nn.Module, workarounds: tuple[str, ...] = ()) -> Whole:
        """A program of the module that gives the outputs and, behind them, the values that are `shown`."""
        shown = self.shown
        taps = {path: results for path, results in self.results.items() if not set(results).isdisjoint(shown)}
        return Whole(module, workarounds, taps, shown, self.written)

    def isolated(self, path: str, module: nn.Module, workarounds: tuple[str, ...] = ()) -> Isolated:
        """A program of one layer of the module, whose inputs are `into_layer`."""
        used = self._used(path)
        structure = renumbered(self.arguments[path], {number: index for index, number in enumerate(used)})
        written = [index for index, number in enumerate(used) if number in self.written]
        return Isolated(module.get_submodule(path), structure, workarounds, written)

    def of_layer(self, path: str) -> tuple[Tensor, ...]:
        """A layer's outputs, flattened."""
        return tuple(self.values[i] for i in self.results[path])

    def into_layer(self, path: str, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The tensors that a layer was called with, in this dtype."""
        return tuple(cast(self.values[number], dtype) for number in self._used(path))

    def _used(self, path: str) -> list[int]:
        return list(dict.fromkeys(numbers(self.arguments[path])))


def golden(module: nn.Module, model_key: str, layers: tuple[str, ...], *images: tuple[Tensor, ...]) -> list[Golden]:
    """The float64 reference of a model for each set of images, from disk where it was computed before. Raises
    ModelError where there is none: see `computed`."""
    keys = [golden_key(model_key, layers, inputs) for inputs in images]
    store = Store("golden")
    with store.lock(digest({"goldens": keys})):
        found = [_read(store, key) for key in keys]
        if all(found):
            return [one for one in found if one is not None]
        exact = computed(module, layers, *images)
        for key, one in zip(keys, exact, strict=True):
            note = {name: value for name, value in vars(one).items() if name != "values"}
            store.save(key, {str(i): value for i, value in enumerate(one.values)}, note)
    return exact


def _read(store: Store, key: str) -> Golden | None:
    """The reference of this name; None where there is none, or one of another form."""
    if (entry := store.load(key)) is None:
        return None
    named, note = entry
    try:
        return Golden(tuple(named[str(i)] for i in range(len(named))), **note)
    except (KeyError, TypeError):
        return None


def computed(module: nn.Module, layers: tuple[str, ...], *images: tuple[Tensor, ...]) -> list[Golden]:
    """The float64 reference for each set of images. Raises ModelError where the model cannot be run in float64, has
    no such layers, or gives another answer when it is shown the first images again."""
    _require_repeatable(copy.deepcopy(module), images)
    try:
        return _computed(module, layers, images)
    except ModelRaised as raised:  # as where something that it makes in float32 does not go with float64
        try:
            with promoting():
                return _computed(module, layers, images)
        except ModelRaised:
            raise ModelError(
                f"it cannot be run in float64: {raised}; take the dtype of what is computed from its inputs, as in "
                "x.new_zeros, instead of naming one"
            ) from raised


def _computed(module: nn.Module, layers: tuple[str, ...], images: Sequence[tuple[Tensor, ...]]) -> list[Golden]:
    exact = copy.deepcopy(module).double()
    return [record(exact, layers, tuple(cast(x, torch.float64).clone() for x in inputs)) for inputs in images]


@torch.no_grad()
def _require_repeatable(module: nn.Module, images: Sequence[tuple[Tensor, ...]]) -> None:
    """Raises ModelError where a model, at its own dtype, does not give the same when it is shown the first images
    again: at once, and after the others."""
    first, *others = images
    wanted: list[Tensor] = []
    for inputs in (first, first, *(one for other in others for one in (other, first))):
        try:
            given = list(named_outputs(_run(module, tuple(x.clone() for x in inputs))).values())
        except ModelRaised as raised:
            shapes = ", ".join(f"{tuple(x.shape)}" for x in inputs)
            raise ModelError(
                f"it cannot be run: {raised}; it was given {shapes}, and may take another size"
            ) from raised
        wanted = wanted or given
        if inputs is first and not (len(given) == len(wanted) and all(map(_alike, given, wanted))):
            raise ModelError(
                "it gives another answer when it is called again with the same inputs: keep nothing in its forward "
                "that outlives the call, and draw no random numbers there"
            )


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two runs of one program gave the same, but for what threads and the alignment of memory can do."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not (one.is_floating_point() or one.is_complex()):
        return bool((one != other).sum() <= _ALIKE * one.numel())
    one, other = (x.nan_to_num() if x.is_floating_point() else x for x in (one, other))
    return bool((one - other).norm() <= _ALIKE * other.norm())


def golden_key(model_key: str, layers: tuple[str, ...], inputs: tuple[Tensor, ...]) -> str:
    """The name of the reference of a model and its layers for these inputs."""
    content = hashlib.sha256(b"".join(x.numpy().tobytes() for x in inputs)).hexdigest()
    shapes = [list(x.shape) for x in inputs]
    recipe = {"model": model_key, "layers": list(layers), "inputs": content, "shapes": shapes}
    return digest({**recipe, "torch": torch.__version__})


@torch.no_grad()
def record(module: nn.Module, layers: tuple[str, ...], inputs: tuple[Tensor, ...]) -> Golden:
    """Run a module once and note what goes into and comes out of every layer; of one that is called several times, at
    the last. Raises ModelError for a layer that the module has not, does not call, or that gives no tensor."""
    values = _Values()
    arguments: dict[str, Any] = {}
    results: dict[str, list[int]] = {}

    def before(path: str) -> Any:
        return _ours(lambda _, *given: arguments.__setitem__(path, encoded(given, values.number)))

    def after(path: str) -> Any:
        return _ours(lambda _, __, out: results.__setitem__(path, [values.number(t) for t in tensors(out)]))

    handles = []
    for path in layers:
        layer = _layer(module, path)
        handles += [
            layer.register_forward_pre_hook(before(path), with_kwargs=True),
            layer.register_forward_hook(after(path)),
        ]
    try:
        output = _run(module, inputs)
    finally:
        for handle in handles:
            handle.remove()
    for path in layers:
        if not results.get(path):
            why = "gives no tensor" if path in results else "is never called"
            raise ModelError(f"its layer {path} {why}: leave it out, or name another")
    named = named_outputs(output)
    outputs = [values.number(tensor) for tensor in named.values()]
    return Golden(
        values=tuple(values.kept),
        outputs=outputs,
        names=list(named),
        results=results,
        arguments=arguments,
        types={path: type(module.get_submodule(path)).__name__ for path in layers},
        written=values.written(),
    )


class ModelRaised(Exception):
    """What a model raises when it is run, in one line."""


class _HookRaised(Exception):
    """What a hook of ours raises while a model runs."""


def _ours(hook: Callable[..., None]) -> Callable[..., None]:
    def called(*given: Any) -> None:
        try:
            hook(*given)
        except Exception as error:
            raise _HookRaised(first_line(error)) from error

    return called


def _run(module: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    try:
        return module(*inputs)
    except _HookRaised:
        raise
    except Exception as error:
        raise ModelRaised(first_line(error)) from error


def _layer(module: nn.Module, path: str) -> nn.Module:
    try:
        return module.get_submodule(path)
    except AttributeError:
        known = [name for name, _ in module.named_modules() if name]
        raise ModelError(str(not_there("it has no layer", path, known))) from None


class _Values:
    """The distinct tensors that were met, as they were then."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []
        self._met: list[tuple[Tensor, int]] = []  # keeps them alive, or an id could come back as another tensor's
        self._known: dict[int, int] = {}

    def number(self, tensor: Tensor) -> int:
        """The number of a tensor's value. What was written into it since makes it another one."""
        known = self._known.get(id(tensor))
        if known is None or self._changed(known):
            known = self._known[id(tensor)] = len(self.kept)
            self.kept.append(tensor.detach().clone(memory_format=torch.contiguous_format))
            self._met.append((tensor, _version(tensor)))
        return known

    def written(self) -> list[int]:
        """Those that are no longer what they were."""
        return list(filter(self._changed, range(len(self.kept))))

    def _changed(self, number: int) -> bool:
        """Whether something was written, be it behind torch's back."""
        tensor, version = self._met[number]
        return _version(tensor) != version or not same(tensor, self.kept[number])


def _version(tensor: Tensor) -> int:
    """How often it was written into, as far as torch knows; it does not count what was made in inference mode."""
    return -1 if tensor.is_inference() else tensor._version


def same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal to the last bit, in dtype and shape, too; a NaN equals a NaN."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one, other) or bool(((one == other) | (one.isnan() & other.isnan())).all())


def named_outputs(output: Any) -> dict[str, Tensor]:
    """The tensors of a model's output by what they are called in it: the keys of a dict, or `output.0`; `output`
    where it is one tensor. Raises ModelError where there is none."""
    found = [(path, leaf) for path, leaf in tree_flatten_with_path(output)[0] if isinstance(leaf, Tensor)]
    if not found:
        raise ModelError(
            f"it gives a {type(output).__name__}, in which there is no tensor: give tensors, or lists, tuples and "
            "dicts of them"
        )
    if odd := next((leaf.layout for _, leaf in found if leaf.layout is not torch.strided), None):
        raise ModelError(f"it gives a tensor of layout {odd}, which cannot be compared: give it dense")
    names = [_name(path) for path, _ in found]
    if None in names or len(set(names)) < len(names):
        names = ["output"] if len(found) == 1 else [f"output.{index}" for index in range(len(found))]
    return {str(name): leaf for name, (_, leaf) in zip(names, found, strict=True)}


def _name(path: Sequence[Any]) -> str | None:
    """`pooled` of `output["pooled"]`, `pooled.0` of what is first in it; None where places are all there is."""
    keys = [getattr(part, "key", getattr(part, "name", getattr(part, "idx", None))) for part in path]
    return ".".join(map(str, keys)) if any(isinstance(key, str) for key in keys) else None


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in a dtype; integers stay as they are."""
    return tensor.to(dtype) if tensor.is_floating_point() else tensor
