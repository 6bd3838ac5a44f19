"""The architectures of other packages: by name, without network, and nothing that is not theirs."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from conformance.core.errors import UserError
from conformance.programs.program import tensors
from conformance.systems.building.zoo.architecture import made
from conformance.systems.zoo import SOURCES, missing, zoo

# The smallest of each package, and what another way leads to.
SMALL = [
    ("torchvision", "squeezenet1_1"),
    ("torchvision", "ssdlite320_mobilenet_v3_large"),
    ("timm", "test_resnet"),
    ("ultralytics", "yolo26n"),
    ("ultralytics", "yolo11-cls-resnet18"),  # of published weights, by its file
    ("transformers", "mobilenet_v1"),
    ("transformers", "facebook/detr-resnet-50"),
]


def needs(source: str) -> pytest.MarkDecorator:
    module = SOURCES[source].module
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


sources = [pytest.param(source, marks=needs(source)) for source in SOURCES]
small = [pytest.param(source, name, marks=needs(source)) for source, name in SMALL]


@pytest.mark.parametrize(("source", "name"), small)
def test_an_architecture_answers_to_a_batch_of_images(source: str, name: str) -> None:
    one = zoo(source).build(name)
    assert not any(parameter.requires_grad for parameter in one.module.parameters())
    with torch.no_grad():
        outputs = tensors(one.module(torch.zeros(1, one.channels, *one.resolution)))
    assert all(output.isfinite().all() for output in outputs)


@pytest.mark.parametrize(("source", "name"), small[:1] + small[2:4])
def test_its_weights_are_the_same_each_time(source: str, name: str) -> None:
    first, second = (zoo(source).build(name).module.state_dict() for _ in range(2))
    assert all(torch.equal(value, second[key]) for key, value in first.items())


@pytest.mark.parametrize(("source", "name"), small)
def test_without_values_it_has_the_same_shapes(source: str, name: str) -> None:
    filled, unfilled = (zoo(source).build(name, fake).module.state_dict() for fake in (False, True))
    assert {key: value.shape for key, value in filled.items()} == {
        key: value.shape for key, value in unfilled.items()
    }


@pytest.mark.parametrize("source", sources)
@pytest.mark.parametrize("name", ["../../secret", "resnet_18x", "a/b", "", "/etc/passwd", "yolo26n.yaml"])
def test_a_name_that_is_none_of_a_package_is_wrong_input(source: str, name: str) -> None:
    with pytest.raises(UserError, match="unknown"):
        zoo(source).build(name)


def test_a_constructor_reaches_no_network() -> None:
    def fetches() -> torch.nn.Module:
        torch.hub.load_state_dict_from_url("https://example.org/weights.pth")
        return torch.nn.ReLU()

    with pytest.raises(OSError, match="without network"):
        made(fetches, False)


def test_no_source_is_wrong_input() -> None:
    for ask in (missing, zoo):
        with pytest.raises(UserError, match="did you mean 'timm'"):
            ask("tim")
