from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest

from conformance.cases.outcome import Record, Status
from conformance.report.markdown import as_markdown, escape
from conformance.report.matrix import build_matrix


def written(records: list[Record]) -> str:
    return as_markdown(build_matrix(records))


def section(text: str, heading: str, level: int) -> str:
    """What stands under a heading, up to the next one that is as high."""
    _, _, rest = text.partition(f"{'#' * level} {heading}\n")
    return re.split(rf"\n#{{1,{level}}} ", rest)[0]


def test_every_link_has_its_one_anchor(sample: list[Record]) -> None:
    text = written(sample)
    anchors = Counter(re.findall(r'<a id="([^"]+)">', text))
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert len(links) > 300
    assert links <= set(anchors)
    assert set(anchors.values()) == {1}


def test_every_cell_with_a_record_links_to_its_command(make_wrong: Callable[..., Record]) -> None:
    text = written([make_wrong()])
    anchor = "cell-yolo26n-detect-b2-320x320-fp32-xla"
    assert (
        f"[✗ wrong: model.10 (C2PSA), scores (visible)](#{anchor})<br>[split-with-sizes](#defect-split-with-sizes) |"
        in text
    )
    after = text.partition(f'<a id="{anchor}">')[2]
    assert "```sh\npytest conformance --case 'yolo26n-detect/b2/320x320/fp32@xla'\n```" in after


def test_real_and_emulated_are_two_tables(make: Callable[..., Record], make_wrong: Callable[..., Record]) -> None:
    models = section(written([make(), make_wrong(target="emulator")]), "Models", 2)
    real, emulated = models.split("### Emulated (computed from the known defects of a release, not measured")
    assert "### Real" in real
    assert "| xla |" in real
    assert "emulator" not in real
    assert "| emulator<br>inf2<br>SDK 2.29.1 |" in emulated
    assert "xla" not in emulated.replace("cell-yolo", "")


def test_no_cell_is_blank_and_missing_ones_are_not_tested(sample: list[Record]) -> None:
    text = written(sample)
    rows = [line for line in text.splitlines() if line.startswith("| yolo")]
    assert len(rows) > 50
    models = section(text, "Models", 2)
    assert models.count("\u2013 not tested") == 16 + 11
    for line in models.splitlines():
        if line.startswith("|"):
            assert all(part.strip() for part in line.strip("|").split(" | "))


def test_all_lines_of_a_table_have_the_same_number_of_cells(sample: list[Record]) -> None:
    for block in written(sample).split("\n\n"):
        if block.startswith("|"):
            assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_no_table_is_wider_than_eight_columns_of_results(sample: list[Record]) -> None:
    heads = [line for line in written(sample).splitlines() if line.startswith("| model | batch")]
    assert max(len(head.split(" | ")) for head in heads) == 4 + 8


def test_workarounds_have_their_own_tables(sample: list[Record]) -> None:
    helped = section(written(sample), "The same cells with workarounds on", 2)
    assert "| xla<br>+ functionalization | xla<br>+ slice |" in helped
    assert "✗ wrong" not in helped


def test_what_is_known_about_a_defect_is_below(sample: list[Record]) -> None:
    text = written(sample)
    known = text.partition('<a id="defect-split-with-sizes"></a>')[2].partition("\n### <a ")[0]
    assert "Affected: torch-xla &gt;=2.5\n" in known
    assert "Workaround **functionalization**: XLA_DISABLE_FUNCTIONALIZATION=0" in known
    assert "<https://github.com/aws-neuron/aws-neuron-sdk/issues/1140>" in known
    assert "| two-halves b2 fp32 | slice | [✓ pass]" in known


def test_isolated_layers_and_gate_are_listed(sample: list[Record]) -> None:
    text = written(sample)
    assert "23 of 24 layers pass | [✗ wrong: model.10 (C2PSA), error ratio 8,123, error 8.1e-04 (" in text
    gate = section(text, "What the published gate would have said", 2)
    assert "24 of 24 wrong cells pass the published gate." in gate
    assert "| xla | CosSim &gt;= 0.98 | 0.9917 passes | scores | 48,211 | 4.8e-03 (visible) | 0.0512 |" in gate


def test_versions_of_real_targets_are_listed(sample: list[Record]) -> None:
    assert "- openvino: openvino 2026.4.1\n- xla: torch-xla 2.9.0" in written(sample)


def test_hostile_text_stays_text(make: Callable[..., Record]) -> None:
    signature = "<script>alert(1)</script> | [x](http://evil) `a` *b*"
    text = written([make(Status.ERROR, signature=signature, command="echo '```' <b>")])
    assert "<script>" not in text
    assert r"\| \[x\](http://evil) \`a\` \*b\*" in text
    assert "````sh\necho '```' <b>\n````" in text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("NCC_EVRF029", "NCC_EVRF029"),
        ("_a_ \\ b", r"\_a\_ \\ b"),
        ("a\n# b", "a # b"),
        ("a & <b>", "a &amp; &lt;b&gt;"),
    ],
)
def test_escaping_leaves_plain_names_alone(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_an_empty_matrix_says_so() -> None:
    text = written([])
    assert text.count("No cell was run.") == 4
    assert "No defect appears in the records." in text
