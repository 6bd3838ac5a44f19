"""What is to blame, as an issue in the form of the tracker that it belongs to."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass

from conformance.cases.outcome import Record
from conformance.core.text import one_line
from conformance.defects.catalogue import DEFECTS
from conformance.localize.answer import Answer
from conformance.localize.reproduce import RUNS, Reproduction


@dataclass(frozen=True)
class Tracker:
    """A project's issues, and under which headings its form asks for what."""

    repository: str
    headings: Mapping[str, str]


_PYTORCH = Tracker("pytorch/pytorch", {"🐛 Describe the bug": "all", "Versions": "versions"})
_TRACKERS = {
    "neuron": Tracker(
        "aws-neuron/aws-neuron-sdk",
        {
            "Describe the bug": "what",
            "Model Name": "model",
            "Instance Type": "hardware",
            "Release version": "versions",
            "Reproduction Steps": "script",
            "Possible Solution": "helps",
            "Logs/Context/Additional Information": "figures",
        },
    ),
    "xla": Tracker(
        "pytorch/xla",
        {
            "🐛 Bug": "what",
            "To Reproduce": "script",
            "Expected behavior": "expected",
            "Environment": "versions",
            "Additional context": "context",
        },
    ),
    "openvino": Tracker(
        "openvinotoolkit/openvino",
        {
            "OpenVINO Version": "versions",
            "Operating System": "system",
            "Device used for inference": "device",
            "Framework": "framework",
            "Model used": "model",
            "Issue description": "what",
            "Step-by-step reproduction": "script",
            "Relevant log output": "context",
        },
    ),
    "onnxruntime": Tracker(
        "microsoft/onnxruntime",
        {
            "Describe the issue": "what",
            "To reproduce": "script",
            "Platform": "system",
            "ONNX Runtime Version or Commit ID": "versions",
            "Execution Provider": "device",
            "Model File": "context",
        },
    ),
    "inductor": _PYTORCH,
}
_SAME = {"neuron-native": "neuron", "emulator": "neuron", "onnxruntime-torchscript": "onnxruntime"}


def tracker_of(target: str, tier: str | None = None) -> Tracker | None:
    """Where an issue belongs: `tier` is what the records of other compilers say. None for a target of one's own."""
    if tier is not None and "decompositions" in tier:
        return _PYTORCH
    if tier is not None and tier.startswith("the front end"):
        return _TRACKERS["xla"]
    return _TRACKERS.get(_SAME.get(target, target))


def issue(answer: Answer, made: Reproduction, record: Record, tier: str | None = None) -> str:
    """The text of an issue, as Markdown."""
    target = record.column.target
    tracker = tracker_of(target, tier)
    said = _said(answer, made, record, tier)
    headings = tracker.headings if tracker else {"What": "what", "Script": "script", "Versions": "versions"}
    title = f"{made.place[0].target}: {said['short']} on {target}"
    parts = (f"## {heading}\n\n{said[part]}" for heading, part in headings.items() if said[part])
    where = f"<!-- for https://github.com/{tracker.repository}/issues/new/choose -->\n" if tracker else ""
    return where + "\n\n".join([f"# {one_line(title)}", *parts]).rstrip() + "\n"


def _said(answer: Answer, made: Reproduction, record: Record, tier: str | None) -> dict[str, str]:
    """The parts that headings ask for."""
    column, subject = record.column, record.subject
    names = " and ".join(f"`{place.target}`" for place in made.place)
    short = f"{record.status.value}" + (f" ({record.signature})" if record.signature else " numbers")
    together = "are wrong together, and each is right by itself" if len(made.place) > 1 else "is wrong by itself"
    what = [
        f"{names} {together}: {short} on {column}, {subject.dtype}.",
        f"Found in {subject.model} (batch {subject.batch}{f', {subject.resolution}' if subject.resolution else ''}): "
        + "; ".join(map(str, made.place))
        + ".",
    ]
    if answer.rate:
        what.append(f"It fails {answer.rate}.")
    if tier:
        what.append(f"By the records of other compilers it comes in with {tier}.")
    if answer.defects:
        links = ", ".join(DEFECTS[name].links[0] for name in answer.defects if name in DEFECTS)
        what.append(f"It is known: {links}. Is this issue needed?")
    shown = f"Run {RUNS} times, shown {made.shown} times." if made.shown is not None else "Not run yet."
    script = f"```python\n{made.text.rstrip()}\n```\n\n{shown}"
    versions = "\n".join(f"- {name} {version}" for name, version in record.environment.items())
    figures = "\n".join(
        f"- {name}: relative L2 error {group.rel_l2:.3g}, cosine {group.cosine:.4g}, {group.noise_ratio:.3g} times "
        "what rounding explains"
        for name, group in record.groups.items()
    )
    helps = "\n".join(f"- {name}: {status}" for name, status in made.tried_with.items())
    tried = f"Workarounds tried on the script's program:\n\n{helps}" if helps else ""
    found = f"{answer.compiles} compiles of parts of {answer.operators} operators."
    context = "\n\n".join(filter(None, (f"The whole model:\n\n{figures}" if figures else "", tried, found)))
    return {
        "short": short,
        "what": "\n\n".join(what),
        "script": script,
        "versions": versions,
        "figures": context,
        "context": context,
        "helps": tried,
        "expected": "What the CPU gives in eager mode.",
        "model": subject.model,
        "hardware": column.hardware,
        "device": column.hardware.upper(),
        "framework": "PyTorch",
        "system": platform.platform(),
        "all": "\n\n".join(filter(None, (*what, script, context))),
    }
