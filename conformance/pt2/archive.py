"""The archive of a file of torch.export: which members it may have, and a new one of those that are needed.

What torch reads is what was checked: two readers of one zip file can see different members in it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from conformance.core.deferred import torch
from conformance.core.errors import UserError, first_line
from conformance.core.text import shortened
from conformance.pt2.program import checked_json

_MEMBERS = 50_000
_LARGEST = 4 * 2**30  # of all members, in bytes
_LARGEST_JSON = 64 * 2**20
_RATIO = 100  # torch does not compress at all

# Of torch 2.8 and newer, under a folder of the archive's own name; older ones, without. JSON, pickles of tensors,
# bytes, and what is left out: example inputs, whose pickles torch reads without limits, and a user's extra files.
_JSON = re.compile(
    r"models/model\.json|data/(?:weights|constants)/model_(?:weights|constants)_config\.json"
    r"|serialized_exported_program\.json"
)
_PICKLES = re.compile(r"data/(?:weights|constants)/model\.pt|serialized_(?:state_dict|constants)\.pt")
_EXAMPLES = re.compile(r"data/sample_inputs/model\.pt|serialized_example_inputs\.pt")
_BYTES = re.compile(
    r"archive_format|archive_version|byteorder|version|\.data/(?:version|serialization_id)"
    r"|data/weights/weight_[0-9]{1,6}|data/constants/tensor_[0-9]{1,6}"
)
_LEFT_OUT = re.compile(r"extra/.*|extra_files/.*")


def checked_archive(path: Path) -> bytes:
    """An archive of what is needed of a file, and harmless. Raises UserError with why it is refused."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError("it is no file")
        with ZipFile(path) as archive:
            return _rebuilt(archive)
    except (UserError, MemoryError):
        raise
    except OSError as error:
        raise UserError(f"it cannot be read: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001 (readers of zip files have many)
        raise UserError(f"it is no archive of torch.export ({first_line(error)})") from None


def _rebuilt(archive: ZipFile) -> bytes:
    members = _members(archive)
    made = BytesIO()
    with ZipFile(made, "w", ZIP_STORED) as new:
        for name, member in members.items():
            if not _LEFT_OUT.fullmatch(name):
                try:
                    new.writestr(member.filename, _checked(name, archive.read(member)))
                except UserError as error:
                    raise UserError(f"{name}: {error}") from None
    return made.getvalue()


def _members(archive: ZipFile) -> dict[str, ZipInfo]:
    """The members by their names without the archive's own folder. Raises UserError for what does not belong."""
    infos = archive.infolist()
    if len(infos) > _MEMBERS or sum(info.file_size for info in infos) > _LARGEST:
        raise UserError(f"it unpacks to more than {_MEMBERS:,} members, or {_LARGEST // 2**30} GiB")
    old = any(info.filename == "serialized_exported_program.json" for info in infos)
    folders = {"" if old else info.filename.partition("/")[0] for info in infos}
    if len(folders) != 1:
        raise UserError("it is no archive of torch.export: its members are not in one folder")
    members = {info.filename if old else info.filename.partition("/")[2]: info for info in infos}
    if len({name.casefold() for name in members}) < len(infos):
        raise UserError("two of its members have one name")
    for name, info in members.items():
        _require_member(name, info)
    if not {"models/model.json", "serialized_exported_program.json"} & members.keys():
        raise UserError("it is no archive of torch.export: it has no models/model.json")
    return members


def _require_member(name: str, info: ZipInfo) -> None:
    shown = shortened(info.filename, 80)
    if "\\" in name or not name.isprintable() or any(part in ("", "..") for part in info.filename.split("/")):
        raise UserError(f"member {shown!r} is no path inside of it")
    if not any(kind.fullmatch(name) for kind in (_JSON, _PICKLES, _EXAMPLES, _BYTES, _LEFT_OUT)):
        raise UserError(f"member {shown!r} is none that torch.export writes of a graph; what it is for is not known")
    if info.flag_bits & 1 or info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise UserError(f"member {shown!r} is encrypted, or packed in a way that torch does not use")
    if info.file_size > _RATIO * max(info.compress_size, 1024):
        raise UserError(f"member {shown!r} unpacks to {info.file_size:,} bytes, over {_RATIO} times what it takes")
    if _JSON.fullmatch(name) and info.file_size > _LARGEST_JSON:
        raise UserError(f"member {shown!r} is larger than {_LARGEST_JSON // 2**20} MiB")


def _checked(name: str, content: bytes) -> bytes:
    """What torch is given of a member."""
    if _JSON.fullmatch(name):
        return checked_json(content)
    if _PICKLES.fullmatch(name) or _EXAMPLES.fullmatch(name):
        for wanted in _called(content):
            raise UserError(f"it wants {wanted} to be called, which is refused: nothing but tensors can be read")
    return b"" if _EXAMPLES.fullmatch(name) else content


def _called(pickled: bytes) -> Iterator[str]:
    """What a pickle names that is no tensor, nor a plain value."""
    if pickled:
        try:
            yield from torch.serialization.get_unsafe_globals_in_checkpoint(BytesIO(pickled))
        except Exception as error:  # noqa: BLE001 (the reader has many)
            raise UserError(f"it is no file of tensors ({first_line(error)})") from None
