"""The command line, `conformance --help`: a module of this package for each command, loaded when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand

from conformance.commands.exits import ExitingGroup

# What `conformance --help` says of each. Its own --help is the docstring of `main` in its module.
COMMANDS = {
    "check": "Say whether a model of yours is right on a target.",
    "matrix": "Render records as the compatibility matrix.",
    "diff": "What is different between two runs.",
    "cases": "List the ids of a profile's cases.",
    "systems": "List the models under test, or check their weights.",
    "explain": "Say what is known of a failure.",
    "expect": "Accept failures as they are, or list those accepted.",
    "calibrate-limits": "Measure the limits of the verdict again.",
    "localize": "Find the operator that is to blame for a case that is not right.",
    "budget": "Say which layers a model's final error comes from.",
    "search": "Find where a case is right: at which shapes, with what, without which pass.",
    "minimize": "Find the smallest program that fails as a case does.",
    "reproduce": "Write a script that shows what is to blame for a case that is not right.",
    "lint": "Name what of a model is known to go wrong on a device.",
    "survey": "Name what of every architecture of a package is known to go wrong.",
    "operators": "Measure what targets make of each operator of torch.",
    "analyze": "Ask the installed neuronx-cc about every operator.",
    "defects": "List the known defects.",
    "replay": "Run an HLO file on compilers that know nothing of Neuron.",
    "partition": "Cut Faster R-CNN: what runs on the device, what on the CPU.",
    "doctor": "What this host is, and what is missing on it.",
}


class Commands(ExitingGroup):
    """Every command under its name; only the one that is called is loaded."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = {name: TyperCommand(name, help=said) for name, said in COMMANDS.items()}

    def load(self, name: str) -> Any:
        """The command itself, with its options."""
        module = import_module(f"conformance.commands.{name.replace('-', '_')}")
        if hasattr(module, "app"):  # of several commands
            return typer.main.get_command(module.app)
        alone = typer.Typer(add_completion=False)
        alone.command(name)(module.main)
        return typer.main.get_command(alone)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments begin with, and the rest of them."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, self.load(str(name)), rest


app = typer.Typer(
    name="conformance",
    cls=Commands,
    help="Is a vision model, compiled for Trainium or Inferentia, right? Cases run with: pytest conformance --help",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _all() -> None:
    pass  # with it typer makes a group, though no command is here
