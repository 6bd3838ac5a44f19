"""Area attention, from the description in the YOLO12 paper (arXiv 2502.12524).

The positions of a feature map, row after row, are cut into `area` runs of equal length, and attention stays within
a run. There is no position encoding: a large depthwise convolution over the values is added instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from conformance.models.attention import Attend


class AreaAttention(nn.Module):
    """(B, C, H, W) to the same; H * W must be divisible by `area`.

    `qkv` gives 3 C channels: for each head its queries, keys and values. `position` sees the values.
    """

    def __init__(
        self, qkv: nn.Module, position: nn.Module, projection: nn.Module, heads: int, area: int, attend: Attend
    ) -> None:
        super().__init__()
        self.qkv = qkv
        self.position = position
        self.projection = projection
        self.heads = heads
        self.area = area
        self.attend = attend

    def forward(self, x: Tensor) -> Tensor:
        """Attention within each area, then the values' positions, then the projection."""
        channels = x.shape[1] // self.heads
        tokens = self.qkv(x).flatten(2).unflatten(2, (self.area, -1)).unflatten(1, (self.heads, -1))
        tokens = tokens.permute(0, 3, 1, 4, 2).flatten(0, 1)  # (B * area, heads, tokens, 3 * channels)
        q, k, v = tokens.split([channels, channels, channels], dim=-1)
        values = self._as_map(v, x)
        y: Tensor = self.projection(self._as_map(self.attend(q, k, v), x) + self.position(values))
        return y

    def _as_map(self, tokens: Tensor, x: Tensor) -> Tensor:
        """(B * area, heads, tokens, channels) as (B, C, H, W)."""
        return tokens.unflatten(0, (-1, self.area)).permute(0, 2, 4, 1, 3).reshape(x.shape)  # type: ignore[no-any-return, no-untyped-call]
