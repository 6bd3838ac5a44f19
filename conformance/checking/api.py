"""`conformance.check`: a model of one's own, judged from a script, a notebook or a test."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.cases import options
from conformance.cases.options import CALLS
from conformance.checking.check import check_model
from conformance.checking.handing import handed
from conformance.checking.report import Report
from conformance.core.errors import UserError
from conformance.core.groups import Group
from conformance.core.own_code import own_code
from conformance.results.records import RecordWriter, records_file
from conformance.running.worker import Worker
from conformance.selection.expand import Chosen
from conformance.selection.model import ModelRequest, Named, find_model
from conformance.systems.user_model import Kind, ModelSpec, UserModel

if TYPE_CHECKING:
    from torch import Tensor, nn

Several = str | Sequence[str] | None


def check(
    model: nn.Module | str,
    inputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor] | Callable[[int], Any] | None = None,
    *,
    target: Several = None,
    batch: int | None = None,
    resolution: str | None = None,
    dtype: Several = None,
    images: str | Path | None = None,
    groups: Sequence[str | Group] = (),
    layers: Several = None,
    depth: int | None = None,
    isolated: bool = False,
    calibrate: bool | None = None,
    hardware: Several = None,
    sdk: Several = None,
    settings: Several = None,
    workarounds: Several = None,
    calls: int = CALLS,
    timeout: float = 900,
    records: str | Path | None = None,
    name: str | None = None,
) -> Report:
    """Whether a model is right on a target, compared with the CPU in float64: group by group, image by image, layer
    by layer, call by call.

    `model` is a module, or what `conformance check` takes. `inputs` are what it is called with, batch first, or a
    function that gives the n-th of them, float32 and integers as they are; without any it is given `batch` images,
    (B, 3, H, W) float32 in 0..1, of a `resolution` such as "384x640", made from photographs or from the pictures of
    a folder, `images`. `target` is, unless it is named, the first that is here of xla, openvino, emulator. `groups`
    name the outputs; else the keys of a dict do. `layers` are paths or patterns, and `depth` takes all at one depth;
    else 20 to 60 are chosen. `calibrate` gives live norms to weights of a constructor; by default where they are
    that. `records` is a folder; without one none are written. `name` is what the model is called in ids.

    It is compiled in a process of its own: a crash, or `timeout` seconds, is an outcome. The module is not changed.
    Raises UserError for what cannot be asked for, or built.
    """
    chosen = Chosen(
        named=True,
        batches=None if batch is None else [batch],
        resolutions=None if resolution is None else [resolution],
        dtypes=_names("dtype", dtype),
        hardware=_names("hardware", hardware),
        sdks=_names("sdk", sdk),
        settings=options.sets("settings", _joined(settings)),
        workarounds=options.sets("workarounds", _joined(workarounds)),
    )
    asked: dict[str, Any] = {
        "layers": tuple(_names("layers", layers) or ()),
        "depth": options.whole("depth", depth),
        "groups": _groups(groups),
        "calibrate": calibrate,
        "pictures": None if images is None else str(images),
    }
    writer = None if records is None else RecordWriter(records_file(_folder(Path(records))))
    worker = _worker(fresh=isinstance(model, str))
    worker.timeout, calls = options.seconds("timeout", timeout), options.calls("calls", calls)
    with _named(model, inputs, name, asked) as named:
        request = ModelRequest(named, _names("target", target), chosen, isolated, pictures=asked["pictures"])
        return check_model(request, worker, writer, calls)


@contextmanager
def _named(model: Any, inputs: Any, name: str | None, asked: Mapping[str, Any]) -> Iterator[Named]:
    """The model, by its name or from the file that it is handed over in, which is there as long as this lasts."""
    if isinstance(model, str):
        if inputs is not None:
            raise UserError(f"inputs are for a module, not for {model!r}, which has its own: leave them out")
        yield find_model(model, **asked)
        return
    kind = type(model)
    if not any(base.__module__.startswith("torch.nn") and base.__name__ == "Module" for base in kind.__mro__):
        raise UserError(f"check is given {kind.__name__}; expected an nn.Module, or a model's name")
    path = handed(model, inputs)
    spec = ModelSpec.model_validate(
        {"source": str(path), "kind": Kind.HANDED, "name": name or kind.__name__, **asked}
    )
    found = UserModel(spec)
    try:
        yield Named(spec.loaded_by, found.variants[0], found.tasks[0], spec)
    finally:
        path.unlink()


@cache
def _started() -> Worker:
    worker = Worker(max(1, os.cpu_count() or 1), 900)
    atexit.register(worker.close)
    return worker


def _worker(fresh: bool) -> Worker:
    """The worker of this process. Its children stay warm while the code that they have loaded is what it was, as far
    as this process has it loaded, too; else they are to be `fresh`."""
    worker = _started()
    if (now := own_code()) != _LOADED or fresh:
        worker.kill()
        _LOADED.clear()
        _LOADED.update(now)
    return worker


_LOADED: dict[str, str] = {}


def _joined(several: Several) -> str | None:
    return several if several is None or isinstance(several, str) else ",".join(several)


def _names(what: str, several: Several) -> list[str] | None:
    return options.names(what, _joined(several))


def _groups(several: Sequence[str | Group]) -> tuple[Group, ...]:
    """Groups, or names of outputs in their order."""
    if all(isinstance(one, Group) for one in several):
        return tuple(one for one in several if isinstance(one, Group))
    return options.groups("groups", ",".join(map(str, several)))


def _folder(path: Path) -> Path:
    options.folder("records", path, written=True)
    return path
