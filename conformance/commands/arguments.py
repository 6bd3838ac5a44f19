"""What several commands are given, and where they write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conformance.cases import options
from conformance.core.errors import UserError
from conformance.selection.expand import Chosen
from conformance.selection.model import BEST

RECORDS = Path("matrices/records")

Records = Annotated[Path, typer.Option(help="Folder with the records of one or many runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="As Markdown.")]
# Of the commands that run a model: what of it is run, and on what.
Target = Annotated[
    str | None,
    typer.Option(help=f"One or several, as xla,openvino; else the first that is here of {', '.join(BEST)}."),
]
Batch = Annotated[str | None, typer.Option(help="Images at a time, as 1,4; else 2.")]
Resolution = Annotated[
    str | None, typer.Option(help="Height x width in pixels, as 384x640; else the model's own, or 224x224.")
]
Dtype = Annotated[
    str | None, typer.Option(help="float32 (default), bfloat16, float16, matmult-bf16, all-bf16; one or several.")
]
Images = Annotated[
    str | None, typer.Option(help="Folder of pictures that inputs are made from, and that detectors are counted on.")
]
Calibrate = Annotated[
    bool | None,
    typer.Option(
        "--calibrate/--no-calibrate",
        help="Give seeded weights norms and a head as trained ones have; else where they are a constructor's.",
    ),
]
Weights = Annotated[str | None, typer.Option(help="Of a model of a system: shapes, pretrained, or a file.")]
Hardware = Annotated[str | None, typer.Option(help="Of targets that stand for any: inf2, trn1, trn2.")]
Sdk = Annotated[str | None, typer.Option(help="SDK releases, of targets that stand for any; else the newest.")]
Settings = Annotated[str | None, typer.Option(help="Of targets that have any: sets joined by +, as O1,O3+lnc1.")]
Sets = Annotated[str | None, typer.Option("--workarounds", help="Sets joined by +, as none,slice+functionalization.")]
CaseTimeout = Annotated[float, typer.Option(help="Seconds after which a case is a timeout.")]

Workarounds = Annotated[str | None, typer.Option(help="Those that are on, joined by +.")]


def chosen_of(
    batch: str | None = None,
    resolution: str | None = None,
    dtype: str | None = None,
    hardware: str | None = None,
    sdk: str | None = None,
    settings: str | None = None,
    workarounds: str | None = None,
    weights: str | None = None,
) -> Chosen:
    """What was asked for of a model that is named. Raises UserError."""
    return Chosen(
        named=True,
        batches=options.numbers("--batch", batch),
        resolutions=options.names("--resolution", resolution),
        dtypes=options.names("--dtype", dtype),
        hardware=options.names("--hardware", hardware),
        sdks=options.names("--sdk", sdk),
        settings=options.sets("--settings", settings),
        workarounds=options.sets("--workarounds", workarounds),
        weights=options.names("--weights", weights),
    )


def require_picture(name: str, path: Path | None) -> None:
    """Whether a picture can be written to the file of an option, where one is given. Raises UserError."""
    if path is None:
        return
    options.folder(name, path.parent, written=True)
    if path.suffix not in (".svg", ".html"):
        raise UserError(f"{name} {path} is no picture that can be written: give a .svg or .html file")


def screen(as_json: bool) -> Console:
    """Where people read what is done: stderr where the answer is JSON, for a program."""
    return Console(stderr=True, markup=False, emoji=False) if as_json else console()


def console() -> Console:
    """The terminal; lines of 140 columns for a file, a pipe or the log of a CI, where nothing says how many."""
    found = Console(markup=False, emoji=False)  # what is shown is from records and graphs
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = 140
    return found
