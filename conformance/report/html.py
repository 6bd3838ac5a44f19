"""The matrix as one HTML file that needs no other."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from conformance.report import detections, failure, published, words
from conformance.report.matrix import Matrix
from conformance.report.strip import layer_strip

_COLUMNS_SIDE_BY_SIDE = 10


def as_html(matrix: Matrix) -> str:
    """The whole file. It asks for nothing from the network."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(ratio=words.ratio, cosine=words.cosine, precision=words.precision)
    return environment.get_template("matrix.html.j2").render(
        matrix=matrix,
        anchors=matrix.defect_anchors,
        counts=words.counts,
        totals=words.totals,
        kinds=words.KINDS,
        not_measured=words.NOT_MEASURED,
        layer_name=words.layer_name,
        layer_type=words.layer_type,
        layer_strip=layer_strip,
        check_text=words.check_text,
        error_text=words.error_text,
        known=failure.known,
        share=words.share,
        detections=detections,
        published=published,
        side_by_side=_COLUMNS_SIDE_BY_SIDE,
    )
