"""The output groups that detectors have in common."""

from __future__ import annotations

from conformance.systems.protocol import Group

BOXES = Group("boxes", stop=4)
SCORES = Group("scores", start=4)

# (B, 300, 6): ranked on the device, two corners in pixels, score, class.
RANKED = (
    Group("boxes", dim=2, stop=4),
    Group("scores", dim=2, start=4, stop=5),
    Group("classes", dim=2, start=5, stop=6),
)
