"""A layer by itself: where a fault of the model goes in the program of the layer that is compiled alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch.fx import GraphModule

from benchmarks.power.sites import Site, fed_nodes
from conformance.running.comparison import Comparison


@dataclass(frozen=True, eq=False)
class IsolatedLayer:
    """The product's own comparison of a layer, its graph, and the names there of the nodes of the model's layer."""

    comparison: Comparison
    healthy: GraphModule
    names: Mapping[str, str]


def make_isolated_layer(comparison: Comparison, sites: Sequence[Site]) -> IsolatedLayer:
    """Of the model's sites. Both graphs are exports of one module, so that its operators are in one order in both;
    what the model does to the layer's output, and counts as the layer's, comes after them."""
    path, healthy = comparison.layers[0].path, comparison.program.exported.module()
    assert isinstance(healthy, GraphModule)
    names = {}
    inside = [site for site in sites if f"{site.layer}.".startswith(f"{path}.")]
    for (node, _), site in zip(fed_nodes(healthy.graph), inside, strict=False):
        assert node.target == site.node.target, f"{node} of {path} alone is not {site.node} of the model"
        node.meta["layer"] = site.layer
        names[site.node.name] = node.name
    return IsolatedLayer(comparison, healthy, names)
