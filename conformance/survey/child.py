"""The child's side of a survey. Nothing heavy is imported before the child runs."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from conformance.core.deferred import torch
from conformance.core.errors import UserError, first_line
from conformance.survey.families import Outline, outline
from conformance.survey.results import State, Surveyed
from conformance.systems.zoo import SOURCES, Zoo

_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory")


@dataclass(frozen=True)
class Job:
    """An architecture, and what is looked up in its graph: for each column, `2.29.1/inf2`, the versions of the
    packages and the hardware. `resolution` None is the architecture's own, `builder` the module that makes it."""

    source: str
    builder: str
    name: str
    batch: int
    resolution: tuple[int, int] | None
    columns: Mapping[str, tuple[Mapping[str, str], str]]
    versions: Mapping[str, str]
    revision: str

    @property
    def id(self) -> str:
        """`timm:resnet50`."""
        return f"{self.source}:{self.name}"

    def surveyed(self, state: State, why: str | None = None, seconds: float = 0.0) -> Surveyed:
        """The architecture, come as far as this."""
        return Surveyed(
            source=self.source,
            name=self.name,
            state=state,
            batch=self.batch,
            asked=self.asked,
            columns=tuple(self.columns),
            versions=dict(self.versions),
            revision=self.revision,
            why=why,
            seconds=round(seconds, 2),
        )

    @property
    def asked(self) -> str | None:
        """The resolution that was asked for."""
        return None if self.resolution is None else "x".join(map(str, self.resolution))

    def is_answered_by(self, line: Surveyed) -> bool:
        """Whether a line says all that is asked here, by the same versions."""
        again = line.state is State.SUITE_ERROR
        return (
            not again
            and (line.batch, line.asked, line.revision) == (self.batch, self.asked, self.revision)
            and line.versions == self.versions
            and set(self.columns) <= set(line.columns)
        )


def versions(source: str) -> dict[str, str]:
    """Those that a graph depends on; imports nothing."""
    return {name: _version(name) for name in dict.fromkeys(("torch", SOURCES[source].module))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "0"


def prepare() -> None:
    """One thread, and nothing on the terminal: torch and the packages say a lot while they build and trace.

    What every architecture needs is loaded here, where no architecture's time runs.
    """
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", YOLO_OFFLINE="true")
    torch.set_num_threads(1)
    with suppress(OSError):  # where memory runs out, it is this process that ends, and no other of the machine
        Path("/proc/self/oom_score_adj").write_text("1000")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    from conformance.survey.looking import warm_up

    warm_up()


def names(builder: str) -> list[str]:
    """Every architecture that a module makes."""
    return _zoo(builder).names()


def outlines(builder: str, of: Sequence[str]) -> list[Outline]:
    """What some architectures are made of."""
    return [_outline(builder, name) for name in of]


def _outline(builder: str, name: str) -> Outline:
    try:
        return outline(name, _zoo(builder).build(name, fake=True).module)
    except Exception:  # noqa: BLE001 (whatever a package raises; the survey itself says what)
        return Outline(name)


def _zoo(builder: str) -> Zoo:
    return cast(Zoo, import_module(builder))


def survey(job: Job) -> str:
    """The line of an architecture."""
    begin = time.monotonic()
    found = _surveyed(job)
    return found.model_copy(update={"seconds": round(time.monotonic() - begin, 2)}).model_dump_json()


def _surveyed(job: Job) -> Surveyed:
    from conformance.survey.looking import NotExported, exported, struck

    try:
        built = _zoo(job.builder).build(job.name, fake=True)
    except Exception as error:  # noqa: BLE001 (whatever a package raises)
        return job.surveyed(_state(error, State.NOT_BUILT), _why(error))
    resolution = built.resolution if job.resolution is None or built.fixed else job.resolution
    about = {
        "resolution": "x".join(map(str, resolution)),
        "parameters": sum(parameter.numel() for parameter in built.module.parameters()),
    }
    try:
        graph = exported(built, job.batch, resolution)
    except NotExported as error:
        reason = error.__cause__ or error
        return job.surveyed(_state(reason, State.NOT_EXPORTED), _why(reason)).model_copy(update=about)
    about |= {"nodes": graph.nodes, "defects": struck(graph, job.columns)}
    return job.surveyed(State.LINTED).model_copy(update=about)


def _state(error: BaseException, otherwise: State) -> State:
    no_memory = isinstance(error, MemoryError) or any(said in str(error) for said in _OUT_OF_MEMORY)
    return State.TOO_LARGE if no_memory else otherwise


def _why(error: BaseException) -> str:
    return str(error) if isinstance(error, UserError) else first_line(error)
