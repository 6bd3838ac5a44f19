"""A module that another process of this run has handed over, with its inputs, as cloudpickle writes them."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

from conformance.core.errors import UserError, first_line
from conformance.systems.building.user_model.factory import own_inputs
from conformance.systems.building.user_model.found import Found


def of_handed(path: Path, name: str) -> Found:
    """What is in the file, which this user's own process wrote a moment ago, and nobody else can write. Raises
    UserError."""
    content = path.read_bytes()
    try:
        module, inputs = pickle.loads(content)
    except Exception as error:  # whatever a user's classes do there
        raise UserError(f"{name} cannot be taken to the process that compiles it: {first_line(error)}") from error
    made = None if inputs is None else own_inputs(name, module, inputs)
    return Found(module, made, key=hashlib.sha256(content).hexdigest())
