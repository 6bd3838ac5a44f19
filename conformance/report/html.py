"""The matrix as one HTML file that needs no other."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from conformance.report import detections, failure, formatting, published
from conformance.report.layer_chart import layer_strip
from conformance.report.matrix import Matrix

_COLUMNS_SIDE_BY_SIDE = 10


def page_templates(folder: Path) -> Environment:
    """The templates in a folder, for pages of which every value is escaped and none may be missing."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def as_html(matrix: Matrix) -> str:
    """The whole file. It asks for nothing from the network."""
    environment = page_templates(Path(__file__).parent)
    environment.filters.update(ratio=formatting.ratio, cosine=formatting.cosine_text, precision=formatting.precision)
    return environment.get_template("matrix.html.j2").render(
        matrix=matrix,
        anchors=matrix.defect_anchors,
        counts=formatting.counts,
        totals=formatting.totals,
        kinds=formatting.KINDS,
        not_measured=formatting.NOT_MEASURED,
        layer_name=formatting.layer_name,
        layer_type=formatting.layer_type,
        layer_strip=layer_strip,
        check_text=formatting.check_text,
        error_text=formatting.error_text,
        known=failure.known,
        share=formatting.share,
        detections=detections,
        published=published,
        side_by_side=_COLUMNS_SIDE_BY_SIDE,
    )
