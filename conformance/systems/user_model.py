"""The model that a user names, as a system of one: a factory, a file, or an architecture that a package has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from pydantic import ConfigDict, Field

from conformance.cases.case import FORWARD, Subject, weights_name
from conformance.cases.outcome import Strict
from conformance.core.errors import UserError
from conformance.core.groups import Group
from conformance.core.requirements import missing_packages
from conformance.systems.base import BaseSystem
from conformance.systems.protocol import Model
from conformance.systems.zoo import SOURCES

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "model="  # of what such a system is loaded by; JSON follows
FORMS = (
    "package.module:factory, which returns an nn.Module; torchvision:resnet18, timm:convnext_tiny, "
    "transformers:facebook/detr-resnet-50; a .pt checkpoint of ultralytics or one of its YAML files; a .pt2 file of "
    "torch.export; or one of `conformance systems`, such as yolo26n-detect"
)
_FACTORY = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*(?:\(.*\))?")


class Kind(str, Enum):
    """What a model is made from."""

    ZOO = "zoo"  # an architecture of a package, `torchvision:resnet18`
    FACTORY = "factory"  # `package.module:factory`
    CHECKPOINT = "checkpoint"  # of ultralytics, .pt
    YAML = "yaml"  # of ultralytics
    EXPORTED = "exported"  # by torch.export, .pt2
    HANDED = "handed"  # by `conformance.check`: a file that this process has written for its children


_SUFFIXES = {".pt": Kind.CHECKPOINT, ".pth": Kind.CHECKPOINT, ".yaml": Kind.YAML, ".yml": Kind.YAML,
             ".pt2": Kind.EXPORTED}  # fmt: skip


class Shape(Strict):
    """What is known of a model once it was built: its own inputs or, of one that is given images, their size; and
    the layers that are compared."""

    batch: int | None = None
    resolution: tuple[int, int] | None = None
    layers: tuple[str, ...] = ()
    parameters: int = 0


class ModelSpec(Strict):
    """A model, and what of it is looked at.

    `layers` are paths or patterns, `depth` counts from the model itself; without either, as many are chosen as are
    readable. `groups` name the outputs. `pictures` is a folder that inputs are made from. `calibrate` None: where the
    weights are those of a constructor. `name` is what a handed model is called.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    kind: Kind
    name: str | None = None
    layers: tuple[str, ...] = ()
    depth: int | None = Field(default=None, ge=1)
    groups: tuple[Group, ...] = ()
    pictures: str | None = None
    calibrate: bool | None = None
    shape: Shape | None = None

    @property
    def asked(self) -> ModelSpec:
        """Without what was found."""
        return self.model_copy(update={"shape": None})

    @property
    def loaded_by(self) -> str:
        """What the system is loaded by, in any process."""
        return PREFIX + self.model_dump_json(exclude_defaults=True)

    @property
    def system(self) -> str:
        """`torchvision`, `ultralytics`, `pt2`, or `own`."""
        if self.kind is Kind.ZOO:
            return self.source.partition(":")[0]
        named = {Kind.CHECKPOINT: "ultralytics", Kind.YAML: "ultralytics", Kind.EXPORTED: "pt2"}
        return named.get(self.kind, "own")

    @property
    def variant(self) -> str:
        """`resnet18`, `acme.models.build`, or the name of the file."""
        if self.kind is Kind.ZOO:
            return _plain(self.source.partition(":")[2])
        if self.kind in (Kind.FACTORY, Kind.HANDED):
            return _plain(self.name or self.source.replace(":", "."))
        return weights_name(self.source)


def kind_of(source: str) -> Kind | None:
    """What kind of model this names; None where it names none, but may be a model of a system."""
    if source.partition(":")[0] in SOURCES and ":" in source:
        return Kind.ZOO
    if (kind := _SUFFIXES.get(Path(source).suffix.lower())) is not None and not _FACTORY.fullmatch(source):
        return kind
    return Kind.FACTORY if _FACTORY.fullmatch(source) else None


def model_spec(source: str, **asked: object) -> ModelSpec | None:
    """The model that a source names; None where it is a model of a system, or nothing. Raises UserError for a file
    that is not there."""
    if (kind := kind_of(source)) is None:
        return None
    on_disk = kind in (Kind.CHECKPOINT, Kind.EXPORTED) or (kind is Kind.YAML and len(Path(source).parts) > 1)
    if on_disk and not Path(source).is_file():
        raise UserError(f"{source} cannot be read: there is no such file")
    return ModelSpec.model_validate({"source": source, "kind": kind, **asked})


def may_be_users(name: str) -> bool:
    """Whether the name of a model in an id may be that of one which a user named."""
    return name.partition("-")[0] in (*SOURCES, "pt2", "own")


class Made(Protocol):
    """What the builder gives: the model, its groups, the shape that was found, and inputs."""

    @property
    def model(self) -> Model: ...

    @property
    def groups(self) -> tuple[Group, ...] | None: ...

    @property
    def shape(self) -> Shape: ...

    @property
    def inputs(self) -> Callable[[Subject, int], tuple[Tensor, ...]]: ...


class UserModel(BaseSystem):
    """A system of one model, which has one task: what its `forward` computes."""

    tasks = (FORWARD,)
    builder = "conformance.systems.building.user_model.build"

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.licence = "its own"
        self.name = spec.system
        self.variants = (spec.variant,)
        self.needs: Mapping[str, str] = {}
        if spec.system in SOURCES:
            self.needs = {SOURCES[spec.system].module: SOURCES[spec.system].extra}
            self.licence = SOURCES[spec.system].licence

    def missing(self) -> str | None:
        """What to install where the package that has it is not."""
        return missing_packages(self.needs, self.spec.source)

    def stride(self, task: str) -> int:
        """Whether it takes images of a size is seen when it is run."""
        return 1

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """Those that are compared, of one that was built before."""
        return self.spec.shape.layers if self.spec.shape else ()

    def groups(self, variant: str, task: str) -> tuple[Group, ...] | None:
        """Those that the user names, or that are known of its kind."""
        return self._made.groups

    def build(self, variant: str, task: str, weights: str | None = None) -> Model:
        """The model. Raises ModelError and UserError, whatever the user's code does."""
        return self._made.model

    def parameters(self, variant: str, task: str) -> int:
        """All that it has."""
        return self._made.shape.parameters

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """Its own, or images of the subject's size: crops of photographs, labelled scenes, or the user's pictures."""
        return self._made.inputs(subject, index)

    def built(self) -> ModelSpec:
        """The spec with what is known once it was built."""
        return self.spec.model_copy(update={"shape": self._made.shape})

    @property
    def _made(self) -> Made:
        return cast(Made, import_module(self.builder).made(self.spec.asked))


def _plain(name: str) -> str:
    """Fit for an id."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-")
