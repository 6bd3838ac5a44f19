"""What is on disk is used only if it is whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from conformance.core.store import Store, digest


def test_entry_comes_back_and_a_damaged_one_does_not() -> None:
    store = Store("test")
    assert store.load("key") is None
    store.save("key", {"a": torch.arange(6.0).reshape(2, 3).T}, {"why": ["x"]})
    entry = store.load("key")
    assert entry is not None
    tensors, note = entry
    assert torch.equal(tensors["a"], torch.arange(6.0).reshape(2, 3).T)
    assert note == {"why": ["x"]}

    path = store.folder / "key.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert store.load("key") is None


def test_complex_numbers_come_back() -> None:
    store, waves = Store("test"), torch.fft.rfft2(torch.rand(3, 4, dtype=torch.float64))
    store.save("waves", {"a": waves, "b": torch.ones(2)}, {})
    entry = store.load("waves")
    assert entry is not None
    assert torch.equal(entry[0]["a"], waves)
    assert torch.equal(entry[0]["b"], torch.ones(2))


def test_digest_depends_on_every_value_and_not_on_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("1e-07", "100.0"),
        lambda text: "[1, 2]",
        lambda text: "{}",
        lambda text: text.replace('"note"', '"notes"'),
        lambda text: text.replace('"L2"', '"L3"'),
        lambda text: text.replace("{", '{"more": 1, ', 2),
        lambda text: text[:-5],
        lambda text: "",
    ],
    ids=["a larger noise", "a list", "nothing", "another key", "another name", "an extra key", "cut", "empty"],
)
def test_note_that_was_edited_is_no_entry(edit: Callable[[str], str]) -> None:
    store = Store("test")
    store.save("noise", {}, {"boxes": {"L2": [1e-07]}})
    path = store.folder / "noise.json"
    before = path.read_text()
    assert store.load("noise") is not None
    assert edit(before) != before
    path.write_text(edit(before))
    assert store.load("noise") is None
