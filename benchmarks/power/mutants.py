"""Which faults are planted: of every kind as many as are asked for, spread over the layers, drawn by a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from random import Random

from torch.fx import GraphModule

from benchmarks.power.edits import Edit, edited
from benchmarks.power.faults import KINDS, Kind
from benchmarks.power.sites import Site

# How often all sites of a kind are gone through for faults that were not drawn yet.
_ROUNDS = 12


@dataclass(frozen=True)
class Mutant:
    """One fault: of what kind, at which node of which layer, and what exactly."""

    kind: Kind
    site: str
    layer: str
    detail: str
    edit: Edit
    node: str

    def program(self, healthy: GraphModule, node: str | None = None) -> GraphModule:
        """The graph with the fault, where its node may have another name; without memory of any call."""
        return edited(healthy, node or self.node, self.edit)


def draw_all(sites: Sequence[Site], count: int, seed: str, kinds: Sequence[Kind] = KINDS) -> list[Mutant]:
    """Up to `count` mutants of each kind. The same arguments give the same mutants."""
    return [mutant for kind in kinds for mutant in draw(kind, sites, count, Random(f"{seed}/{kind.name}"))]


def draw(kind: Kind, sites: Sequence[Site], count: int, random: Random) -> list[Mutant]:
    """Up to `count` different mutants of a kind: fewer where there are not so many."""
    order = _spread([site for site in sites if kind.at(site, Random(0))], random)
    drawn: dict[tuple[str, str], Mutant] = {}
    for site in chain.from_iterable(order for _ in range(_ROUNDS)):
        if len(drawn) == count:
            break
        plant = kind.at(site, random)
        if plant is not None:
            where, node = plant.where or site.node.name, site.node.name
            mutant = Mutant(kind, where, site.layer, plant.detail, plant.edit, node)
            drawn.setdefault((where, plant.detail), mutant)
    return list(drawn.values())


def _spread(sites: Sequence[Site], random: Random) -> list[Site]:
    """The sites in an order in which every layer has its turn."""
    layers: dict[str, list[Site]] = {}
    for site in sites:
        layers.setdefault(site.layer, []).append(site)
    for group in layers.values():
        random.shuffle(group)
    groups = list(layers.values())
    random.shuffle(groups)
    return list(_one_of_each(groups))


def _one_of_each(groups: Sequence[Sequence[Site]]) -> Iterator[Site]:
    for turn in zip_longest(*groups):
        yield from (site for site in turn if site is not None)
