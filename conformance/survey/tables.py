"""A survey as tables: Markdown, JSON, and one HTML file that needs no other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from conformance.cases.outcome import Status
from conformance.core.text import json_by_line
from conformance.defects.catalogue import DEFECTS
from conformance.report.formatting import markdown_table, natural, plural
from conformance.report.html import page_templates
from conformance.report.markdown import escape
from conformance.report.write import write_texts
from conformance.survey.results import SCHEMA, Place, State, Struck, Surveyed
from conformance.survey.verdicts import Verdict, key

ABOUT = (
    "Which known defects each architecture meets, told from its graph alone: nothing was compiled and nothing ran on "
    "a device. An architecture without one is not thereby right."
)


JUDGED = (
    "Each was compiled for other images than those it was shown, and compared with a float64 reference: by group, "
    "image and layer, in float32, with seeded weights. What has no verdict was not tested."
)


@dataclass(frozen=True)
class DefectRow:
    """A defect, in how many architectures it was seen in each column, and the workarounds that help there."""

    id: str
    title: str
    certainty: str
    link: str
    seen: Mapping[str, int]
    workarounds: tuple[str, ...]


@dataclass(frozen=True)
class Tables:
    """Lines of a survey, when it was made, and what became of those that were compiled and run, by `verdicts.key`.
    `columns` are all that were looked up, `2.29.1/inf2`."""

    lines: tuple[Surveyed, ...]
    generated: datetime
    judged: Mapping[str, Sequence[Verdict]] = field(default_factory=dict)
    columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = dict.fromkeys(column for line in self.lines for column in line.columns)
        object.__setattr__(self, "columns", tuple(sorted(found, key=natural)))

    @property
    def sources(self) -> dict[str, list[Surveyed]]:
        """Lines by their source, sorted by name."""
        found: dict[str, list[Surveyed]] = {}
        for line in self.lines:
            found.setdefault(line.source, []).append(line)
        return {source: sorted(lines, key=lambda line: natural(line.name)) for source, lines in found.items()}

    @property
    def states(self) -> dict[str, dict[State, int]]:
        """How many of each source came how far."""
        counts = {source: Counter(line.state for line in lines) for source, lines in self.sources.items()}
        return {source: {state: count[state] for state in State if count[state]} for source, count in counts.items()}

    @property
    def versions(self) -> str:
        """`suite 0.2.0+g268b420; torch 2.13.0, timm 1.0.31`."""
        suites = dict.fromkeys(f"suite {line.revision}" for line in self.lines)
        packages = dict.fromkeys(f"{name} {number}" for line in self.lines for name, number in line.versions.items())
        return f"{', '.join(suites)}; {', '.join(packages)}"

    @property
    def about(self) -> str:
        """What they are, and for how many images at a time."""
        return f"{ABOUT} Images at a time: {', '.join(map(str, sorted({line.batch for line in self.lines})))}."

    @property
    def defects(self) -> list[DefectRow]:
        """What was seen, the most frequent first."""
        seen: dict[str, Counter[str]] = {}
        helps: dict[str, dict[str, None]] = {}
        for struck in (struck for line in self.lines for struck in line.defects):
            seen.setdefault(struck.defect, Counter()).update(struck.columns)
            helps.setdefault(struck.defect, {}).update(dict.fromkeys(struck.workarounds))
        rows = [_defect_row(id_, counts, tuple(helps[id_])) for id_, counts in seen.items()]
        return sorted(rows, key=lambda row: (-max(row.seen.values()), row.id))

    @property
    def targets(self) -> list[str]:
        """Those that something was run on."""
        return sorted({verdict.target for line in self.run for verdict in self.verdicts(line)})

    @property
    def run(self) -> list[Surveyed]:
        """What was compiled and run somewhere."""
        return [line for lines in self.sources.values() for line in lines if self.verdicts(line)]

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """How many ended how on each target: `right`, `wrong`, `not judged`."""
        found: dict[str, Counter[str]] = {target: Counter() for target in self.targets}
        for verdict in (verdict for line in self.run for verdict in self.verdicts(line)):
            status = "right" if verdict.status is Status.PASS else verdict.status.value.replace("_", " ")
            found[verdict.target][status] += 1
        return found

    def verdicts(self, line: Surveyed) -> Sequence[Verdict]:
        """Those on an architecture."""
        return self.judged.get(key(line.id), ())

    def on(self, line: Surveyed, target: str) -> list[Verdict]:
        """Those on an architecture on one target."""
        return [verdict for verdict in self.verdicts(line) if verdict.target == target]

    def met(self, line: Surveyed, column: str) -> list[Struck] | None:
        """The defects of an architecture in a column; None where that was not found out."""
        if line.state is not State.LINTED or column not in line.columns:
            return None
        return [struck for struck in line.defects if column in struck.columns]


def _defect_row(id_: str, seen: Mapping[str, int], helps: tuple[str, ...]) -> DefectRow:
    defect = DEFECTS.get(id_)
    if defect is None:  # of a package that is not installed here
        return DefectRow(id_, "", "", "", seen, helps)
    return DefectRow(id_, defect.title, defect.evidence.value, defect.links[0], seen, helps)


def place_text(place: Place) -> str:
    """`model.10 split_with_sizes 1x256x20x20`."""
    return " ".join(filter(None, (place.module, place.operator, "x".join(map(str, place.shape)))))


def parameters_text(count: int | None) -> str:
    """In millions."""
    return "" if count is None else f"{count / 1e6:,.4g}"


def as_markdown(tables: Tables) -> str:
    """The whole file."""
    blocks = [
        "# Survey",
        tables.about,
        f"Generated {tables.generated:%Y-%m-%d %H:%M} {tables.generated.tzname() or ''}: {escape(tables.versions)}.",
        _states(tables),
        "## Known defects",
        "In how many architectures each was seen.",
        _defects(tables),
        *_judged(tables),
        *(block for source, lines in tables.sources.items() for block in _source(tables, source, lines)),
    ]
    return "\n\n".join(blocks) + "\n"


def _states(tables: Tables) -> str:
    states = [state for state in State if any(state in counts for counts in tables.states.values())]
    head = ["source", "architectures", *(state.value for state in states)]
    rows = (
        [source, str(sum(counts.values())), *(str(counts.get(state, 0)) for state in states)]
        for source, counts in tables.states.items()
    )
    return markdown_table(head, rows)


def _defects(tables: Tables) -> str:
    head = ["defect", "what", "certainty", *map(escape, tables.columns), "use instead"]
    return markdown_table(
        head,
        (
            [
                f"[{escape(row.id)}]({row.link})" if row.link else escape(row.id),
                escape(row.title),
                row.certainty,
                *(str(row.seen.get(column, 0)) for column in tables.columns),
                escape(", ".join(row.workarounds)) or "-",
            ]
            for row in tables.defects
        ),
    )


def _judged(tables: Tables) -> Iterator[str]:
    """What was compiled and run, if anything was."""
    if not tables.run:
        return
    yield "## Compiled and run"
    yield JUDGED
    yield "\n".join(
        f"- {target}: " + ", ".join(f"{count} {status}" for status, count in counts.most_common())
        for target, counts in tables.counts.items()
    )
    yield markdown_table(
        ["architecture", "million parameters", *map(escape, tables.targets)],
        (
            [
                escape(line.id),
                parameters_text(line.parameters),
                *(
                    escape("; ".join(verdict.summary for verdict in tables.on(line, target)))
                    for target in tables.targets
                ),
            ]
            for line in tables.run
        ),
    )


def _source(tables: Tables, source: str, lines: Sequence[Surveyed]) -> Iterator[str]:
    yield f"## {source}"
    found = ", ".join(f"{count} {state.value}" for state, count in tables.states[source].items())
    yield f"{plural(len(lines), 'architecture')}: {found}. A defect has the number of its places behind it."
    head = ["architecture", "million parameters", "resolution", *map(escape, tables.columns)]
    yield markdown_table(
        head,
        (
            [escape(line.name), parameters_text(line.parameters), line.resolution or "", *_cells(tables, line)]
            for line in lines
        ),
    )


def _cells(tables: Tables, line: Surveyed) -> Iterator[str]:
    """Of every column; that of one like the first says so."""
    if line.state is not State.LINTED:
        said = escape(f"{line.state.value}: {line.why}" if line.why else line.state.value)
        yield from [said, *[line.state.value] * (len(tables.columns) - 1)]
        return
    for column in tables.columns:
        met = tables.met(line, column)
        yield "not looked up" if met is None else _struck_text(met)


def _struck_text(met: Sequence[Struck]) -> str:
    return ", ".join(f"{escape(struck.defect)} {struck.count}" for struck in met) or "none"


def as_json(tables: Tables) -> str:
    """An object; `architectures` last, one a line."""
    content = {
        "schema": SCHEMA,
        "generated": tables.generated.isoformat(timespec="seconds"),
        "about": tables.about,
        "columns": tables.columns,
        "revisions": list(dict.fromkeys(line.revision for line in tables.lines)),
        "versions": {name: number for line in tables.lines for name, number in line.versions.items()},
        "states": {
            source: {state.value: n for state, n in counts.items()} for source, counts in tables.states.items()
        },
        "defects": {
            row.id: {"title": row.title, "certainty": row.certainty, "link": row.link} for row in tables.defects
        },
        "architectures": [_json_line(tables, line) for lines in tables.sources.values() for line in lines],
    }
    return json_by_line(content, "architectures", separators=(",", ":"))


def _json_line(tables: Tables, line: Surveyed) -> dict[str, Any]:
    """What is the same of all, or empty, is left out."""
    shared = {"versions", "record_schema", "revision", "asked"}
    content: dict[str, Any] = json.loads(line.model_dump_json(exclude=shared, exclude_none=True))
    if found := tables.verdicts(line):
        content["judged"] = [asdict(verdict) for verdict in found]
    return content


def as_html(tables: Tables) -> str:
    """The whole file. It asks for nothing from the network, and without scripts it is still a table."""
    return (
        page_templates(Path(__file__).parent)
        .get_template("survey.html.j2")
        .render(
            tables=tables,
            states=list(State),
            place=place_text,
            millions=parameters_text,
            plural=plural,
            judged=JUDGED,
        )
    )


def write_tables(tables: Tables, folder: Path) -> list[Path]:
    """Write `survey.md`, `.json` and `.html` into a folder, which is made. Returns their paths."""
    texts = {"md": as_markdown(tables), "json": as_json(tables), "html": as_html(tables)}
    return write_texts(folder, "survey", texts)
