"""Everything that whoever mends a fault needs, in one file."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path

from conformance.cases.outcome import Record
from conformance.localize.answer import Answer
from conformance.localize.reproduce import Reproduction, small_job
from conformance.running.child import Job
from conformance.running.worker import Worker


def write_bundle(
    path: Path, answer: Answer, made: Reproduction, record: Record, issue: str, job: Job, worker: Worker
) -> None:
    """A .zip of script, issue, record and answer, of the graph of the smallest program, its inputs and both outputs,
    and of the HLO and what a failed compile has left, where there are any."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        folder = Path(name)
        (folder / "reproduce.py").write_text(made.text, encoding="utf-8")
        (folder / "issue.md").write_text(issue, encoding="utf-8")
        (folder / "record.json").write_text(record.model_dump_json(indent=1, by_alias=True), encoding="utf-8")
        (folder / "localized.json").write_text(json.dumps(answer.model_dump(mode="json"), indent=1), encoding="utf-8")
        worker.answer(worker.variables(job), "writing its tensors", _write, small_job(job, made.recipe), str(folder))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
            for file in sorted(folder.rglob("*")):
                bundle.write(file, file.relative_to(folder))
            for kept in filter(None, (record.hlo, record.evidence, made.outcome.evidence)):
                for file in _files(Path(kept)):
                    bundle.write(file, Path("compiler") / file.name)


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(file for file in path.glob("*") if file.is_file())


def _write(job: Job, folder: str) -> None:
    """In a child: graph, inputs, what is expected and what the target gives."""
    from conformance.localize.tensors import write_tensors

    write_tensors(job, Path(folder))
