"""What a case computes, whoever computes it: model, inputs, reference, allowed error, programs. Made once."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import inf, isfinite

import torch
from torch import Tensor, nn

from conformance.cases.case import Subject, stored_dtype
from conformance.cases.outcome import Conditioning, Outcome
from conformance.compare.metrics import OF_ALONE, OF_WHOLE, by_image, rel_l2
from conformance.compare.rows import align_rows, without_ties
from conformance.compare.verdict import BaselineErrors, each_output, finite, split_groups
from conformance.core.errors import ModelError, UserError, first_line
from conformance.core.groups import Group
from conformance.core.loading import module_of
from conformance.core.store import Store, digest
from conformance.golden.baseline import RUNS, allowed_error
from conformance.golden.conditioning import conditioning
from conformance.golden.reference import Golden, cast, golden, golden_key
from conformance.golden.spans import Operators
from conformance.programs.autocast import auto_cast
from conformance.programs.fingerprint import fingerprint
from conformance.programs.program import Program, Whole
from conformance.programs.workarounds import in_program
from conformance.running.pieces import Pieces
from conformance.systems.protocol import Model, System

FORM = 3  # raise this when what is kept of the baseline or the conditioning is made in another way


@contextmanager
def of_its_own(system: System, what: str) -> Iterator[None]:
    """What a system that is not the suite's raises in here is its own fault. Raises ModelError."""
    try:
        yield
    except (UserError, ModelError):
        raise
    except Exception as error:  # a user's code
        if module_of(system).startswith("conformance."):
            raise
        raise ModelError(f"{what}: {first_line(error)}") from error


@dataclass(frozen=True)
class Layer:
    """A layer and where its outputs are among those of the tapped program."""

    path: str
    type: str
    indices: tuple[int, ...]


@dataclass(frozen=True)
class Judged:
    """A compiled program, the case it was judged for, and what was found."""

    compiled: object
    case_id: str
    outcome: Outcome


@dataclass(frozen=True)
class Images:
    """What a program is shown, what it should give for it, and how far from that it may be.

    `reference` is the outputs and, behind them, where there are any to be compared, the values of the layers; `apart`
    is how far away the reference of the other images is, for each group and layer, image by image.
    """

    inputs: tuple[Tensor, ...]
    reference: tuple[Tensor, ...]
    baseline: Mapping[str, BaselineErrors] = field(default_factory=dict)
    apart: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass
class Comparison:
    """Programs, what they are shown, and how their answers are read.

    Programs are compiled for the `others`: the images that are `compared` are never those a target has met first.
    `dtypes` are those of the reference's tensors as the CPU gives them at the case's own dtype; those at the indices
    `rows` are sets of rows. `judged` is for programs a target gives out again, by the id of the compiled program. One
    that is compiled in `pieces` is the same program. Where it is wrong its cause is looked for if it is to be
    `explained`.
    """

    program: Program
    tapped: Program | None
    compared: Images
    others: Images
    batch: int
    output_count: int
    groups: tuple[Group, ...]
    layers: tuple[Layer, ...]
    dtypes: tuple[torch.dtype, ...]
    rows: tuple[int, ...] = ()
    judged: dict[int, Judged] = field(default_factory=dict)
    pieces: Pieces | None = None
    explained: bool = True

    @property
    def isolated(self) -> bool:
        """Whether this is one layer alone."""
        return self.tapped is None and bool(self.layers)

    @property
    def flaw(self) -> str | None:
        """Why no answer can be right or wrong: what the reference, or the CPU at this dtype, gives is not finite."""
        for images in (self.compared, self.others):
            if not finite(images.reference[: self.output_count]):
                return "the reference itself"
            groups = (errors.values() for part, errors in images.baseline.items() if part in self.names)
            if not all(isfinite(error) for group in groups for errors in group for error in errors):
                return "the CPU's own runs at this dtype"
        return None

    @property
    def same_for_all(self) -> bool:
        """Whether none of the outputs depends on the images, so that a constant would be right."""
        return not any(any(self.compared.apart[name]) for name in self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the groups."""
        return tuple(group.name for group in self.groups)

    @torch.no_grad()
    def on_cpu(self, images: Images, dtype: str) -> tuple[Tensor, ...]:
        """What the CPU gives for these images at a dtype of a case."""
        with auto_cast(dtype):
            outputs: tuple[Tensor, ...] = self.program.module(*(x.clone() for x in images.inputs))
        return outputs

    def parts(self, tensors: Sequence[Tensor], images: Images, tapped: bool = False) -> dict[str, Tensor]:
        """The groups of a program's outputs for these images and, of one that is tapped, under `layer/PATH` its
        layers; (batch, values) each.

        Of sets of rows neither the order counts, nor which of several near ties is the last.
        """
        tensors = [self._ranked(t, images.reference[i]) if i in self.rows else t for i, t in enumerate(tensors)]
        named = split_groups(tensors[: self.output_count], self.groups, self.batch)
        if tapped:
            values = ((layer, [tensors[index] for index in layer.indices]) for layer in self.layers)
            named |= {f"layer/{layer.path}": by_image(found, self.batch) for layer, found in values}
        return named

    @staticmethod
    def _ranked(answer: Tensor, reference: Tensor) -> Tensor:
        return without_ties(align_rows(answer, reference), reference)


class ReferenceModel:
    """A system's model for one batch, resolution and dtype. Raises ModelError where it cannot be judged."""

    def __init__(self, system: System, model: Model, subject: Subject) -> None:
        self.model = model
        self.batch = subject.batch
        self.precision = subject.dtype
        self.dtype: torch.dtype = getattr(torch, stored_dtype(subject.dtype))
        with of_its_own(system, "its inputs cannot be made"):
            self.exact_inputs, self.exact_others = (system.inputs(subject, index) for index in (0, 1))
        self.inputs, self.others = (
            tuple(cast(x, self.dtype) for x in inputs) for inputs in (self.exact_inputs, self.exact_others)
        )
        model.module.eval()  # as whatever is compiled: a part that was put in later may not be
        self.golden, self.other_golden = golden(
            model.module, model.key, model.layers, self.exact_inputs, self.exact_others
        )
        _require_one_shape(self.golden, self.other_golden)
        self.groups = _groups(system.groups(subject.variant, subject.task), self.golden)
        self.module = copy.deepcopy(model.module).to(self.dtype)
        self.run(self.module, self.others)  # lets a head make its anchors for this resolution before it is captured
        self.operators: dict[tuple[str, ...], Operators] = {}  # of its graph, with workarounds; see running.spans
        self.spans: dict[tuple[str, tuple[str, ...]], Comparison] = {}  # likewise, the last one that was used behind
        self._comparisons: dict[tuple[str | None, tuple[str, ...]], Comparison] = {}
        self._prints = self._fingerprints()

    def changed(self) -> list[str]:
        """What somebody has changed of the model since this was made."""
        return [name for name, value in self._fingerprints().items() if value != self._prints[name]]

    def _fingerprints(self) -> dict[str, str]:
        modules = {"the reference model": self.model.module, "the model that is copied": self.module}
        return {name: fingerprint(module) for name, module in modules.items()}

    @property
    def notes(self) -> list[str]:
        """Facts about how the model was built."""
        return list(self.model.notes)

    def comparison(self, layer: str | None, workarounds: tuple[str, ...]) -> Comparison:
        """The whole model, or one layer alone, with those workarounds that change the program."""
        rewrites = in_program(workarounds)
        if (layer, rewrites) not in self._comparisons:
            self._comparisons[layer, rewrites] = (
                self._whole(rewrites) if layer is None else self._isolated(layer, rewrites)
            )
        return self._comparisons[layer, rewrites]

    def _whole(self, rewrites: tuple[str, ...]) -> Comparison:
        paths, reference = self.model.layers, self.golden
        given = [*reference.outputs, *reference.shown]
        tapped = reference.tapped(self.module)
        comparison = Comparison(
            program=Program(Whole(self.module, rewrites), self.others),
            tapped=Program(reference.tapped(self.module, rewrites), self.others) if paths else None,
            compared=Images(self.inputs, tuple(reference.values[number] for number in given)),
            others=Images(self.others, _outputs(self.other_golden)),
            batch=self.batch,
            output_count=len(reference.outputs),
            groups=self.groups,
            layers=tuple(
                Layer(path, reference.types[path], tuple(map(given.index, reference.results[path]))) for path in paths
            ),
            dtypes=tuple(x.dtype for x in self.run(tapped, self.others)),
            rows=self.model.rows,
        )
        compared = self._with_baseline(comparison, comparison.compared, tapped, tapped=True)
        others = self._with_baseline(comparison, comparison.others, Whole(self.module), tapped=False)
        layers = {f"layer/{path}": self._layer_apart(path) for path in paths}
        comparison.compared = replace(compared, apart=apart(comparison, compared, others) | layers)
        comparison.others = replace(others, apart=apart(comparison, others, compared))
        return comparison

    def _isolated(self, path: str, rewrites: tuple[str, ...]) -> Comparison:
        compared, others = (
            Images(one.into_layer(path, self.dtype), one.of_layer(path)) for one in (self.golden, self.other_golden)
        )
        if [x.shape for x in compared.inputs] != [x.shape for x in others.inputs]:
            raise ModelError(f"its layer {path} is given other shapes for other images: it cannot be compiled alone")
        plain = self.golden.isolated(path, self.module)
        are_outputs = self.golden.results[path] == self.golden.outputs
        comparison = Comparison(
            program=Program(self.golden.isolated(path, self.module, rewrites), others.inputs),
            tapped=None,
            compared=compared,
            others=others,
            batch=self.batch,
            output_count=len(compared.reference),
            groups=self.groups if are_outputs else each_output(len(compared.reference)),
            layers=(Layer(path, self.golden.types[path], tuple(range(len(compared.reference)))),),
            dtypes=tuple(x.dtype for x in self.run(plain, others.inputs)),
            rows=self._rows_of(path),
        )
        comparison.compared, comparison.others = (
            replace(images, baseline=self.baseline_errors(comparison, images, plain, OF_ALONE))
            for images in (compared, others)
        )
        return comparison

    @torch.no_grad()
    def run(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the CPU gives at the case's dtype. Raises ModelError where it cannot."""
        try:
            outputs: tuple[Tensor, ...] = module(*(x.clone() for x in inputs))
        except ModelError:
            raise
        except Exception as error:  # the model's own
            raise ModelError(
                f"the CPU cannot run it in {self.precision}: {first_line(error)}; ask for another"
            ) from error
        return outputs

    def conditioning(self, dtypes: Sequence[str]) -> dict[str, Conditioning]:
        """Whether the whole network can be judged at these dtypes, as far as it can be run in them; from disk where
        it was measured before. Nothing for a model of whose layers none depends on the image."""
        if not self.model.layers:
            return {}
        made_from = {
            "form": FORM,
            "golden": golden_key(self.model.key, self.model.layers, self.exact_inputs),
            "dtypes": list(dtypes),
            "rows": list(self.model.rows),
        }
        key, store = digest(made_from), Store("conditioning")
        with store.lock(key):
            if (entry := store.load(key)) is None:
                found = conditioning(
                    self.model.module,
                    self.model.layers,
                    self.exact_inputs,
                    self.golden,
                    self.other_golden,
                    dtypes,
                    self._of_layer,
                    input_dependent=lambda path: path in self.comparison(None, ()).program.source.giving,
                )
                store.save(key, {}, {dtype: figures.model_dump() for dtype, figures in found.items()})
                return found
        return {dtype: Conditioning(**figures) for dtype, figures in entry[1].items()}

    def unsure(self, found: Mapping[str, Conditioning]) -> str | None:
        """Why the whole network cannot be judged at the case's dtype, by its conditioning; None where it can."""
        own = found.get(self.precision)
        if own is None or own.sufficient:
            return None
        return (
            f"the whole network cannot be judged in {self.precision}: in {own.layer} another image is only "
            f"{own.ratio:.2g} times as far from the reference as rounding; the isolated layers are what counts"
        )

    def _of_layer(self, run: Golden, path: str) -> Tensor:
        """What a layer gives in a run, (batch, values), sets of rows in the reference's order."""
        reference, rows = self.golden.of_layer(path), self._rows_of(path)
        given = enumerate(run.of_layer(path))
        return by_image([align_rows(x, reference[i]) if i in rows else x for i, x in given], self.batch)

    def _layer_apart(self, path: str) -> list[float]:
        """How far the layer's values for the other images are from those for the images that are compared."""
        return _distances(self._of_layer(self.other_golden, path), self._of_layer(self.golden, path))

    def _rows_of(self, path: str) -> tuple[int, ...]:
        """Which of a layer's outputs are outputs of the model that are sets of rows."""
        row_indices = {self.golden.outputs[i] for i in self.model.rows}
        return tuple(i for i, index in enumerate(self.golden.results[path]) if index in row_indices)

    def _with_baseline(self, comparison: Comparison, images: Images, module: nn.Module, tapped: bool) -> Images:
        """The images with the error that the whole model is allowed for them, from disk where it was measured
        before."""
        made_from = {
            "form": FORM,
            "golden": golden_key(self.model.key, self.model.layers, self.exact_inputs),
            "others": golden_key(self.model.key, self.model.layers, self.exact_others),
            "tapped": tapped,
            "dtype": self.precision,
            "runs": list(RUNS),
            "measures": list(OF_WHOLE),
            "threads": torch.get_num_threads(),
        }
        key, store = digest(made_from), Store("baseline")
        with store.lock(key):
            if (entry := store.load(key)) is None:
                baseline = self.baseline_errors(comparison, images, module, OF_WHOLE, tapped)
                store.save(key, {}, baseline)
                return replace(images, baseline=baseline)
        return replace(images, baseline=entry[1])

    def baseline_errors(
        self, comparison: Comparison, images: Images, module: nn.Module, measures: Sequence[str], tapped: bool = False
    ) -> dict[str, dict[str, list[float]]]:
        """The largest error of valid CPU runs, of the groups and of the layers where these are tapped."""

        def parts(tensors: Sequence[Tensor]) -> dict[str, Tensor]:
            return comparison.parts(tensors, images, tapped)

        return allowed_error(module, images.inputs, parts(images.reference), parts, self.precision, measures)


def _require_one_shape(one: Golden, other: Golden) -> None:
    """Raises ModelError where the shape of an output depends on the images."""
    for name, mine, others in zip(one.names, _outputs(one), _outputs(other), strict=False):
        if mine.shape != others.shape:
            raise ModelError(
                f"its {name} is {tuple(mine.shape)} for some images and {tuple(others.shape)} for others, and a "
                "compiled program has one shape: give a fixed number of rows, or leave out what selects them"
            )


def _groups(said: tuple[Group, ...] | None, reference: Golden) -> tuple[Group, ...]:
    """The groups that a system says, and each output that is in none of them. Raises ModelError for what is not in
    the outputs."""
    outputs = _outputs(reference)
    for group in said or ():
        try:
            group.of(outputs)
        except (IndexError, RuntimeError):
            shapes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in zip(reference.names, outputs, strict=True))
            raise ModelError(f"its output group {group.name} is not in its outputs, {shapes}") from None
    covered = {group.output for group in said or ()}
    rest = (Group(name, index) for index, name in enumerate(reference.names) if index not in covered)
    return (*(said or ()), *rest)


def _outputs(reference: Golden) -> tuple[Tensor, ...]:
    return tuple(reference.values[number] for number in reference.outputs)


def apart(comparison: Comparison, images: Images, others: Images) -> dict[str, list[float]]:
    """How far the reference of other images is from that of these, group by group."""
    one, other = (comparison.parts(shown.reference[: comparison.output_count], images) for shown in (images, others))
    return {name: _distances(other[name], one[name]) for name in one}


def _distances(other: Tensor, reference: Tensor) -> list[float]:
    """Of each image; infinite where the shapes depend on the image, and nothing is known."""
    return rel_l2(other, reference).tolist() if other.shape == reference.shape else [inf] * len(reference)
