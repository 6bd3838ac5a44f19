"""What detectors have in common: output groups, and tasks that compute attention in one of three ways."""

from __future__ import annotations

from conformance.core.groups import Group

BOXES = Group("boxes", stop=4)
SCORES = Group("scores", start=4)

# (B, 300, 6): ranked on the device, two corners in pixels, score, class.
RANKED = (
    Group("boxes", dim=2, stop=4),
    Group("scores", dim=2, start=4, stop=5),
    Group("classes", dim=2, start=5, stop=6),
)

# The attention that a task asks for (`conformance.models.attention`).
ATTENTION_TASKS = {"detect": "math", "detect-sdpa": "sdpa", "detect-flash": "flash"}
