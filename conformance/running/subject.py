"""What a case computes, whoever computes it: model, inputs, reference, allowed error, programs. Made once."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from conformance.cases.case import Case, stored_dtype
from conformance.cases.outcome import Conditioning, Outcome
from conformance.compare.metrics import OF_ALONE, OF_WHOLE, by_image
from conformance.compare.rows import align_rows, without_ties
from conformance.compare.verdict import Noise, split_groups
from conformance.defects.workarounds import WORKAROUNDS
from conformance.golden.conditioning import conditioning
from conformance.golden.noise import RUNS, allowed_error
from conformance.golden.reference import Golden, cast, golden, golden_key, record
from conformance.program import Isolated, Program, Whole
from conformance.store import Store, digest
from conformance.systems.protocol import Group, Model, System


@dataclass(frozen=True)
class Layer:
    """A layer and where its outputs are among those of the tapped program."""

    path: str
    type: str
    places: tuple[int, ...]


@dataclass(frozen=True)
class Judged:
    """A compiled program, the case it was judged for, and what was found."""

    compiled: object
    case_id: str
    outcome: Outcome


@dataclass
class Trial:
    """Programs, what they are fed with, what they should give, and how far from it they may be.

    Programs are compiled for `others`: the images that are compared are never those a target has met before.
    `reference` is the outputs and, behind them, the layers' outputs; those at the places `rows` are sets of rows.
    `judged` is for programs a target gives out again, by the id of the compiled program.
    """

    program: Program
    tapped: Program | None
    inputs: tuple[Tensor, ...]
    others: tuple[Tensor, ...]
    reference: tuple[Tensor, ...]
    output_count: int
    groups: tuple[Group, ...] | None
    layers: tuple[Layer, ...]
    noise: Mapping[str, Noise]
    rows: tuple[int, ...] = ()
    judged: dict[int, Judged] = field(default_factory=dict)

    @property
    def isolated(self) -> bool:
        """Whether this is one layer alone."""
        return self.tapped is None and bool(self.layers)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The reference of the outputs alone."""
        return self.reference[: self.output_count]

    def parts(self, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
        """The groups of a program's outputs and, under `layer/PATH`, the tapped layers; (batch, values) each.

        Of sets of rows neither the order counts, nor which of several near ties is the last.
        """
        tensors = [self._ranked(t, self.reference[i]) if i in self.rows else t for i, t in enumerate(tensors)]
        named = split_groups(tensors[: self.output_count], self.groups)
        if len(tensors) > self.output_count:
            named |= {f"layer/{layer.path}": by_image([tensors[i] for i in layer.places]) for layer in self.layers}
        return named

    @staticmethod
    def _ranked(answer: Tensor, reference: Tensor) -> Tensor:
        return without_ties(align_rows(answer, reference), reference)


class Subject:
    """A system's model for one batch, resolution and dtype."""

    def __init__(self, system: System, model: Model, case: Case) -> None:
        self.model = model
        self.groups = system.groups(case.variant, case.task)
        self.precision = case.dtype
        self.dtype: torch.dtype = getattr(torch, stored_dtype(case.dtype))
        self.exact_inputs = system.inputs(case, index=0)
        self.inputs = tuple(cast(x, self.dtype) for x in self.exact_inputs)
        self.others = tuple(cast(x, self.dtype) for x in system.inputs(case, index=1))
        self.module = copy.deepcopy(model.module).to(self.dtype)
        self.module(*self.others)  # lets a head make its anchors for this resolution before it is captured
        self.golden: Golden = golden(model.module, model.key, model.layers, self.exact_inputs)
        self._trials: dict[tuple[str | None, tuple[str, ...]], Trial] = {}

    def trial(self, layer: str | None, workarounds: tuple[str, ...]) -> Trial:
        """The whole model, or one layer alone, with those workarounds that change the program."""
        rewrites = tuple(name for name in workarounds if WORKAROUNDS[name].in_program)
        if (layer, rewrites) not in self._trials:
            self._trials[layer, rewrites] = (
                self._whole(rewrites) if layer is None else self._isolated(layer, rewrites)
            )
        return self._trials[layer, rewrites]

    def _whole(self, rewrites: tuple[str, ...]) -> Trial:
        paths, reference = self.model.layers, self.golden
        given = list(reference.outputs)
        given += dict.fromkeys(i for path in paths for i in reference.results[path] if i not in reference.outputs)
        trial = Trial(
            program=Program(Whole(self.module, rewrites), self.others),
            tapped=Program(Whole(self.module, rewrites, paths), self.others) if paths else None,
            inputs=self.inputs,
            others=self.others,
            reference=tuple(reference.values[i] for i in given),
            output_count=len(reference.outputs),
            groups=self.groups,
            layers=tuple(
                Layer(path, reference.types[path], tuple(given.index(i) for i in reference.results[path]))
                for path in paths
            ),
            noise={},
            rows=self.model.rows,
        )
        trial.noise = self._noise_of(trial)
        return trial

    def _isolated(self, path: str, rewrites: tuple[str, ...]) -> Trial:
        layer = self.module.get_submodule(path)
        structure, inputs = self.golden.into_layer(path, self.dtype)
        others = self._other_golden.into_layer(path, self.dtype)[1]
        trial = Trial(
            program=Program(Isolated(layer, structure, rewrites), others),
            tapped=None,
            inputs=inputs,
            others=others,
            reference=(reference := self.golden.of_layer(path)),
            output_count=len(reference),
            groups=self.groups if self.golden.results[path] == self.golden.outputs else None,
            layers=(Layer(path, self.golden.types[path], tuple(range(len(reference)))),),
            noise={},
            rows=self._rows_of(path),
        )
        references = trial.parts(trial.reference)
        module = Isolated(layer, structure)
        trial.noise = allowed_error(module, inputs, references, trial.parts, self.precision, OF_ALONE)
        return trial

    def conditioning(self, dtypes: Sequence[str]) -> dict[str, Conditioning]:
        """Whether the whole network can be judged at these dtypes; from disk where it was measured before. Nothing
        for a model without layers."""
        if not self.model.layers:
            return {}
        made_from = {
            "golden": golden_key(self.model.key, self.model.layers, self.exact_inputs),
            "dtypes": list(dtypes),
            "rows": list(self.model.rows),
        }
        key, store = digest(made_from), Store("conditioning")
        with store.lock(key):
            if (entry := store.load(key)) is None:
                exact_others = tuple(cast(x, torch.float64) for x in self.others)
                others = record(copy.deepcopy(self.model.module).double(), self.model.layers, exact_others)
                found = conditioning(
                    self.model.module,
                    self.model.layers,
                    self.exact_inputs,
                    self.golden,
                    others,
                    dtypes,
                    self._of_layer,
                )
                store.save(key, {}, {dtype: figures.model_dump() for dtype, figures in found.items()})
                return found
        return {dtype: Conditioning(**figures) for dtype, figures in entry[1].items()}

    def _of_layer(self, run: Golden, path: str) -> Tensor:
        """What a layer gives in a run, (batch, values), sets of rows in the reference's order."""
        reference, rows = self.golden.of_layer(path), self._rows_of(path)
        given = enumerate(run.of_layer(path))
        return by_image([align_rows(x, reference[i]) if i in rows else x for i, x in given])

    def _rows_of(self, path: str) -> tuple[int, ...]:
        """Which of a layer's outputs are outputs of the model that are sets of rows."""
        row_places = {self.golden.outputs[i] for i in self.model.rows}
        return tuple(i for i, place in enumerate(self.golden.results[path]) if place in row_places)

    @cached_property
    def _other_golden(self) -> Golden:
        """What goes into the layers for the images that are not compared."""
        return record(self.module, self.model.layers, self.others)

    def _noise_of(self, trial: Trial) -> Mapping[str, Noise]:
        """The allowed error of the whole model's groups and layers, from disk where it was measured before."""
        made_from = {
            "golden": golden_key(self.model.key, self.model.layers, self.exact_inputs),
            "dtype": self.precision,
            "runs": list(RUNS),
            "measures": list(OF_WHOLE),
            "threads": torch.get_num_threads(),
        }
        key, store = digest(made_from), Store("noise")
        with store.lock(key):
            if (entry := store.load(key)) is None:
                module = Whole(self.module, taps=self.model.layers)
                references = trial.parts(trial.reference)
                noise = allowed_error(module, self.inputs, references, trial.parts, self.precision)
                store.save(key, {}, noise)
                return noise
        return entry[1]
