"""Reading TOML and JSON that people wrote: validated, and an unknown key is an error that names the near match."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from conformance.core.errors import UserError, unknown
from conformance.core.text import cleaned

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T", bound=BaseModel)

# Of a file of TOML or JSON, in bytes; COCO's annotations of its validation images are 20 MB.
_LARGEST = 256 * 2**20


def data_path(*parts: str) -> Path:
    """A file of `matrices/`: inside the package where it is installed from a wheel, beside it in a checkout."""
    return _beside("matrices").joinpath(*parts)


def fixture_path(*parts: str) -> Path:
    """A file of `fixtures/`, found as `data_path` finds its own."""
    return _beside("fixtures").joinpath(*parts)


def _beside(folder: str) -> Path:
    package = Path(__file__).resolve().parents[1]
    installed = package / folder
    return installed if installed.is_dir() else package.parent / folder


def read_toml(path: Path, shape: type[T]) -> T:
    """Read and validate a TOML file. Raises UserError with one line: file, key, what is wrong."""
    try:
        data = tomllib.loads(_text(path))
    except (ValueError, RecursionError) as error:  # ValueError: the decoder's, and that it is no text
        raise UserError(f"{path} is not valid TOML: {error}") from None
    return _validated(path, data, shape)


def read_json(path: Path, shape: type[T]) -> T:
    """Read and validate a JSON file. Raises UserError with one line, as `read_toml`."""
    try:
        data = from_json(_text(path))
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from None
    return _validated(path, data, shape)


def _validated(path: Path, data: object, shape: type[T]) -> T:
    """The model of plain data, every string of which can be shown as it is. Raises UserError."""
    try:
        return shape.model_validate(cleaned(data))
    except ValidationError as error:
        raise UserError(f"{path}: {_first(error, shape)}") from None


def _text(path: Path) -> str:
    """What is in a file. Raises UserError, and UnicodeDecodeError."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UserError(f"{path} is larger than {_LARGEST // 2**20} MiB")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _first(error: ValidationError, shape: type[BaseModel]) -> str:
    """One complaint in one line; an unknown key before all, for it may be the missing one misspelt."""
    complaints = error.errors()
    complaint = next((c for c in complaints if c["type"] == "extra_forbidden"), complaints[0])
    where = ".".join(str(part) for part in complaint["loc"])
    if complaint["type"] == "extra_forbidden":
        return str(unknown("key", where, [*_keys(shape, complaint["loc"])]))
    message = complaint["msg"].removeprefix("Value error, ").splitlines()[0]
    return f"{where}: {message}" if where else message


def _keys(shape: Any, location: tuple[Any, ...]) -> list[str]:
    """The keys that were possible where the unknown one stands, written with their path."""
    prefix = ""
    for part in location[:-1]:
        prefix += f"{part}."
        if isinstance(part, str) and hasattr(shape, "model_fields") and part in shape.model_fields:
            shape = shape.model_fields[part].annotation
        while not hasattr(shape, "model_fields") and getattr(shape, "__args__", None):
            shape = shape.__args__[-1]
    return [prefix + name for name in getattr(shape, "model_fields", {})]
