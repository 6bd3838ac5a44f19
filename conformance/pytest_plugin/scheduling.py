"""How pytest-xdist deals the cases out."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

from conformance.cases.case import parse_id


class ModelScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps the cases of one model, batch, resolution and dtype on one worker.

    `test_models.py::test_model[yolo26n-detect/b2/320x320/fp32@xla]` -> `yolo26n-detect/b2/320x320/fp32`; an
    isolated layer goes with its model, `.../fp32/model.10@xla` -> `.../fp32`.
    """

    def _split_scope(self, nodeid: str) -> str:
        name = nodeid.partition("[")[2].removesuffix("]")
        if "@" not in name:  # a test that the profile has no case for, and that is skipped
            return nodeid
        return name.partition("@")[0].removesuffix(f"/{parse_id(name).layer}")
