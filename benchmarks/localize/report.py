"""The table: what was to be reached and was or was not, and every wrong answer of ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log2
from statistics import median

from benchmarks.localize.others import LONGEST as LIMIT
from benchmarks.localize.run import REAL
from benchmarks.localize.score import OURS, Scored

RIGHT, INNOCENT, MORE, PLANTED = 0.95, 0.01, 4, 200


def markdown(found: Sequence[Scored], about: str, hidden: int = 0) -> str:
    """All of it; `hidden` faults were drawn that do not show."""
    return "\n".join([*_head(found, about, hidden), *_goals(found), *_table(found), *_wrong(found), ""])


_WHAT = """\
A target computes eagerly but for a planted fault: a kernel (an operator with the shape of what it gives) that is
wrong; that is wrong right behind another (span); only in programs that are long or begin with the images (context);
at every third, fifth or seventh call (intermittent); or every operator by 1.5e-7 to 3e-7 (drift). Kernels and what is
wrong of them are drawn by a seed; those that show in no output and no layer of the model ({}) are drawn anew. Real
defects are the minimal cases of the catalogue between other operators, on the compilers that have them. Right is the
class with an operator or span that is to blame, and none that is not."""
_SCRIPTS = """\
A planted target cannot be called by a script: of such a fault the smallest program is run three times more, in two
of each model and class. Of a real defect the script is run. Where other values of the same kind are right there is
neither: {} times."""
_OTHERS = """\
The others are asked about the first fault of each class in the four models with the fewest operators, on the
same graph and the same target, and told that an output is wrong from a relative L2 error of 1e-5 on; each has
{} s a fault: in the larger models they find nothing in that. They know no classes: the operators that are left
are their answer, of a context it is enough that these have it among them, and of drift none should be.
`torch._inductor.compiler_bisector` names passes of inductor, no operators, and no known defect of inductor
occurs with this version. Polygraphy's `debug reduce` would need each fault planted once more, in an ONNX file
and in what runs it. Neither was run."""


def _head(found: Sequence[Scored], about: str, hidden: int) -> Iterator[str]:
    models = sorted({one.model for one in found if one.of_class != REAL})
    yield from ("# How good `conformance localize` is", "", _WHAT.format(hidden), "")
    yield f"{about} Models: {', '.join(models)}. `make localize` makes this page again."
    yield ""


def _goals(found: Sequence[Scored]) -> Iterator[str]:
    ours = [one for one in found if one.said.by == OURS]
    planted = [one for one in ours if one.of_class != REAL]
    alone = [one for one in planted if one.of_class == "operator" and len(one.truth) == 1 and one.said.compiles]
    extra = median(one.said.compiles - log2(one.operators) for one in alone if one.said.compiles) if alone else 0
    scripts = [one for one in ours if one.script in ("3 of 3", "no")]
    right, innocent = _rate(ours, "right"), _rate(ours, "innocent")
    rows = [
        ("planted faults", f"at least {PLANTED}", str(len(planted)), len(planted) >= PLANTED),
        ("right class and operator or span", f"at least {RIGHT:.0%}", _share(ours, "right"), right >= RIGHT),
        ("innocent operator accused", f"at most {INNOCENT:.0%}", _share(ours, "innocent"), innocent <= INNOCENT),
        (
            "small program or script shows it 3 of 3 times",
            "100%",
            f"{sum(one.script == '3 of 3' for one in scripts)} of {len(scripts)}",
            all(one.script == "3 of 3" for one in scripts),
        ),
        (
            "compiles for a single culprit, median",
            f"log2(n) + {MORE}",
            f"log2(n) + {extra:.1f} ({len(alone)} faults)",
            extra <= MORE,
        ),
    ]
    yield "| goal | wanted | found | |"
    yield "| --- | --- | --- | --- |"
    for name, wanted, said, reached in rows:
        yield f"| {name} | {wanted} | {said} | {'reached' if reached else '**missed**'} |"
    yield ""
    yield _SCRIPTS.format(sum(one.script == "not tried" for one in ours))
    yield ""


def _table(found: Sequence[Scored]) -> Iterator[str]:
    columns = ("faults", "right", "with all places", "innocent accused", "no answer", "compiles", "seconds")
    yield f"| class | by | {' | '.join(columns)} |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for of_class in dict.fromkeys(one.of_class for one in found):
        some = [one for one in found if one.of_class == of_class]
        for by in dict.fromkeys(one.said.by for one in some):
            mine = [one for one in some if one.said.by == by]
            compiles = [one.said.compiles for one in mine if one.said.compiles is not None]
            yield " | ".join(
                [
                    f"| {of_class}",
                    by,
                    str(len(mine)),
                    _share(mine, "right"),
                    _share(mine, "all"),
                    _share(mine, "innocent"),
                    str(sum(bool(one.said.failed) for one in mine)),
                    f"{median(compiles):g}" if compiles else "",
                    f"{median(one.said.seconds for one in mine):.1f} |",
                ]
            )
    yield ""
    yield _OTHERS.format(LIMIT)
    yield ""


def _wrong(found: Sequence[Scored]) -> Iterator[str]:
    wrong = [one for one in found if one.said.by == OURS and (not one.right or one.innocent)]
    if not wrong:
        return
    yield "## Every answer of ours that is not right"
    yield ""
    yield "| model | class | fault | to blame | said |"
    yield "| --- | --- | --- | --- | --- |"
    for one in wrong:
        said = one.said.failed or f"{one.said.kind} {_places(one.said.places)}"
        yield f"| {one.model} | {one.of_class} | `{one.fault}` | {_places(one.truth)} | {said.replace('|', ' ')} |"


def _places(places: Sequence[Sequence[int]]) -> str:
    shown = [" ".join(map(str, place)) if len(place) <= 8 else f"{place[0]} to {place[-1]}" for place in places[:4]]
    return ", ".join(shown) + (f" and {len(places) - 4} more" if len(places) > 4 else "")


def _rate(found: Sequence[Scored], field: str) -> float:
    return sum(getattr(one, field) for one in found) / len(found) if found else 0.0


def _share(found: Sequence[Scored], field: str) -> str:
    count = sum(getattr(one, field) for one in found)
    return f"{count} of {len(found)} ({_rate(found, field):.1%})"
