"""The smallest program that fails the same way: fewer operators, then smaller sizes, then plainer values. Knows
neither torch nor a target: only whether a program fails so, when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from conformance.localize.recipe import Kind, Recipe, Values

Fails = Callable[[Recipe], bool]
MOST = 150  # programs that are tried
_PLAINER: tuple[Kind, ...] = (
    "ones",
    "steps",
)  # kinds of values, the plainest first; inputs that are all ones would hide too much


class Minimizer:
    """Tries smaller programs; what fails the same way is what is made smaller next."""

    def __init__(self, fails: Fails, most: int = MOST) -> None:
        self._fails, self._left = fails, most
        self._tried: set[str] = set()
        self.tried = 0

    def run(self, recipe: Recipe) -> Recipe:
        """The smallest that was found."""
        while True:
            before = recipe.model_dump_json()
            for smaller in (self._outputs, self._operators, self._batch, self._sizes, self._values):
                recipe = smaller(recipe)
            if recipe.model_dump_json() == before or not self._left:
                return recipe

    def _better(self, candidate: Recipe) -> bool:
        """Whether a program fails the same way; none is tried twice."""
        text = candidate.model_dump_json()
        if text in self._tried or not self._left:
            return False
        self._tried.add(text)
        self._left -= 1
        self.tried += 1
        return self._fails(candidate)

    def _first(self, recipe: Recipe, candidates: Iterator[Recipe]) -> Recipe | None:
        return next((one for one in candidates if one != recipe and self._better(one)), None)

    def _outputs(self, recipe: Recipe) -> Recipe:
        """One output, if one is enough; all of an operator's, where it has several."""
        if len(recipe.outputs) > 1 and (one := self._first(recipe, (recipe.giving([o]) for o in recipe.outputs))):
            return one
        return recipe

    def _operators(self, recipe: Recipe) -> Recipe:
        """Without the first operators, whose values are inputs then; without the last."""
        while (fewer := self._first(recipe, _fewer(recipe))) is not None:
            recipe = fewer
        return recipe

    def _batch(self, recipe: Recipe) -> Recipe:
        smaller = (recipe.of_batch(batch) for batch in range(1, recipe.batch))
        return self._first(recipe, smaller) or recipe

    def _sizes(self, recipe: Recipe) -> Recipe:
        """Every number as small as can be, the largest first."""
        for number in recipe.numbers:
            smaller = (one for size in _smaller(number) for one in _with(recipe, number, size))
            recipe = self._first(recipe, smaller) or recipe
        return recipe

    def _values(self, recipe: Recipe) -> Recipe:
        """Values that can be read: 0, 1, 2 ... of inputs, ones of constants."""
        for name, values in (*recipe.inputs.items(), *recipe.constants.items()):
            kinds = _PLAINER if name in recipe.constants else _PLAINER[1:]
            plainer = (Values(shape=values.shape, kind=kind) for kind in kinds[: _rank(kinds, values.kind)])
            recipe = self._first(recipe, (recipe.valued(name, one) for one in plainer)) or recipe
        return recipe


def _rank(kinds: Sequence[str], kind: str) -> int:
    """How many of them are plainer than this one."""
    if kind in ("integers", "truth"):
        return 0
    return kinds.index(kind) if kind in kinds else len(kinds)


def _fewer(recipe: Recipe) -> Iterator[Recipe]:
    """Without its last operator, whose inputs are given out instead."""
    if recipe.operators < 2:
        return
    last = next(call for call in reversed(recipe.calls) if call.target != "getitem")
    before = [call.name for call in recipe.calls if call.name in str(last.args)]
    tensors = [name for name in before if not _is_list(recipe, name)]
    if tensors:
        yield recipe.giving(tensors)


def _is_list(recipe: Recipe, name: str) -> bool:
    """Whether it is an operator with several results."""
    return any(call.target == "getitem" and call.args[0] == {"ref": name} for call in recipe.calls)


def _smaller(number: int) -> Iterator[int]:
    yield from dict.fromkeys(size for size in (1, 2, 3, 4, number // 4, number // 2, number - 1) if 0 < size < number)


def _with(recipe: Recipe, number: int, size: int) -> Iterator[Recipe]:
    """The recipe with a smaller number wherever it occurs: with what is a sum of a list in it, with its multiples,
    and alone."""
    sums = _sums(recipe.lists, {number: size}, recipe.numbers)
    multiples = {other: other // number * size for other in recipe.numbers if other % number == 0}
    for sizes in (
        {**multiples, number: size, **_sums(recipe.lists, multiples, recipe.numbers)},
        {number: size, **sums},
        {number: size},
    ):
        yield recipe.resized(sizes)


def _sums(lists: Sequence[Sequence[int]], sizes: dict[int, int], numbers: Sequence[int]) -> dict[int, int]:
    """What numbers that are the sums of lists become with other numbers in these."""
    return {
        sum(one): sum(sizes.get(part, part) for part in one)
        for one in lists
        if sum(one) in numbers and any(part in sizes for part in one)
    }
