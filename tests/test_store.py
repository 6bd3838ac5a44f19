"""What is on disk is used only if it is whole."""

from __future__ import annotations

import torch

from conformance.store import Store, digest


def test_entry_comes_back_and_a_damaged_one_does_not() -> None:
    store = Store("test")
    assert store.load("key") is None
    store.save("key", {"a": torch.arange(6.0).reshape(2, 3).T}, {"why": ["x"]})
    entry = store.load("key")
    assert entry is not None
    tensors, note = entry
    assert torch.equal(tensors["a"], torch.arange(6.0).reshape(2, 3).T) and note == {"why": ["x"]}

    path = store.folder / "key.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert store.load("key") is None


def test_digest_depends_on_every_value_and_not_on_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})
