"""Calls of operators on layouts and of layers: views, windows of an image, products of matrices."""

# mypy: allow-untyped-calls, no-warn-return-any

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from conformance.operators.given import Call, index, row, square, weights, whole, written


def _torchvision(name: str, *arguments: object) -> Call:
    """An operator of torchvision that pools boxes of an image, or sorts boxes out."""

    def call(x: Tensor) -> object:
        from torchvision import ops

        corners = x.flatten(2)[0, :, :2].sigmoid() * 5
        boxes = torch.cat((corners, corners + 2), 1)
        if name == "nms":
            return ops.nms(boxes, x[0, :, 0, 0], 0.5)
        return getattr(ops, name)(x, torch.cat((boxes[:, :1] * 0, boxes), 1), *arguments)

    return call


def _deformed(x: Tensor) -> Tensor:
    from torchvision.ops import deform_conv2d

    return deform_conv2d(x, weights(x, 2, 18, 7, 9), weights(x, 4, 8, 3, 3))


def _resized(mode: str, view: Callable[[Tensor], Tensor] = lambda x: x, **options: object) -> Call:
    return lambda x: F.interpolate(view(x), mode=mode, **options)  # type: ignore[arg-type]


MOVING: dict[str, Call] = {
    "split": lambda x: x.split([2, 6], 1),
    "split_evenly": lambda x: x.split(4, 1),
    "chunk": lambda x: x.transpose(1, 3).chunk(2, -1),
    "tensor_split": lambda x: x.tensor_split([3, 5], 1),
    "unbind": lambda x: x.unbind(1),
    "narrow": lambda x: x.narrow(2, 1, 3),
    "narrow_copy": lambda x: torch.narrow_copy(x, 2, 1, 3),
    "slice": lambda x: x[:, ::2, ::3, 1::2],
    "select": lambda x: x[:, 3],
    "view": lambda x: x.view(2, -1),
    "reshape": lambda x: x.transpose(1, 2).reshape(2, -1),
    "permute": lambda x: x.permute(0, 2, 3, 1),
    "movedim": lambda x: x.movedim(1, 3).contiguous(),
    "squeeze": lambda x: x.unsqueeze(2).squeeze(2),
    "expand": lambda x: x[:, :1].expand(-1, 8, -1, -1) * 1.5,
    "unflatten": lambda x: x.unflatten(1, (2, 4)),
    "unfold": lambda x: x.unfold(2, 3, 2),
    "diagonal": lambda x: x.diagonal(0, 2, 3),
    "diag": lambda x: x[0, 0, 0].diag(),
    "diag_embed": lambda x: x.diag_embed(),
    "diagonal_scatter": lambda x: x.diagonal_scatter(x[:, :, :, 0] * 2, 0, 2, 3),
    "select_scatter": lambda x: x.select_scatter(x[:, 1], 1, 2),
    "slice_scatter": lambda x: x.slice_scatter(x[:, :2], 1, 2, 4),
    "as_strided": lambda x: x.as_strided((2, 3, 4), (792, 99, 2), 1),
    "as_strided_overlapping": lambda x: x.as_strided((2, 5, 3), (792, 1, 2)),
    "as_strided_repeated": lambda x: x.as_strided((2, 5, 3), (792, 0, 1)),
    "as_strided_many": lambda x: x.as_strided((2, 700, 3), (792, 1, 2)),
    "fill_diagonal": written(lambda y: y[0, 0].fill_diagonal_(1.0)),
    "view_as_real": lambda x: torch.view_as_real(torch.complex(x, x)),
    "view_as_complex": lambda x: torch.view_as_complex(x[..., :2].contiguous()),
    "view_dtype": lambda x: x.view(torch.int32),
    "flip": lambda x: x.flip(-1),
    "roll": lambda x: x.roll(1, -1),
    "rot90": lambda x: x.rot90(1, (2, 3)),
    "tile": lambda x: x.tile(1, 2, 1, 1),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 1),
    "cat": lambda x: torch.cat((x, x), 1),
    "stack": lambda x: torch.stack((x, x), 1),
    "block_diag": lambda x: torch.block_diag(x[0, 0], x[0, 1]),
    "tril": lambda x: x.tril(1),
    "triu": lambda x: x.triu(1),
    "meshgrid": lambda x: torch.meshgrid(x[0, 0, 0], x[0, 0, 1], indexing="ij"),
    "gather": lambda x: row(x).gather(2, whole(row(x))),
    "take": lambda x: x.take(whole(x)),
    "take_along_dim": lambda x: x.take_along_dim(x.argsort(1), 1),
    "index_select": lambda x: x.index_select(1, index(x, 0, 2)),
    "index": lambda x: x[:, index(x, 0, 3, 5)],
    "index_pairs": lambda x: x[index(x, 0, 1), :, index(x, 2, 3)],
    "index_put": written(lambda y: y.__setitem__((slice(None), index(y, 0, 3)), 1.0)),
    "index_add": lambda x: x.index_add(1, index(x, 0, 3), x[:, :2]),
    "index_copy": lambda x: x.index_copy(1, index(x, 0, 3), x[:, :2]),
    "index_fill": lambda x: x.index_fill(1, index(x, 0, 3), 2.0),
    "scatter": lambda x: torch.zeros_like(x).scatter(1, x.argmax(1, keepdim=True), 1.0),
    "scatter_add": lambda x: x.scatter_add(1, x.argmax(1, keepdim=True), x),
    "scatter_reduce": lambda x: x.scatter_reduce(1, x.argmax(1, keepdim=True), x, "amax"),
    **{
        f"scatter_reduce_{reduce}": lambda x, reduce=reduce: x.scatter_reduce(1, x.argmax(1, keepdim=True), x, reduce)  # type: ignore[misc]
        for reduce in ("sum", "mean", "prod", "amin")
    },
    "index_reduce": lambda x: x.index_reduce(1, index(x, 0, 3), x[:, :2], "prod"),
    "scatter_reduce_alone": lambda x: x.scatter_reduce(1, x.argmax(1, keepdim=True), x, "sum", include_self=False),
    "put": lambda x: x.put(index(x, 0, 3), x[0, 0, 0, :2]),
    "embedding": lambda x: F.embedding(whole(x), weights(x, 41, 4)),
    "embedding_bag": lambda x: F.embedding_bag(whole(x)[0, 0], weights(x, 41, 4)),
    "write_slice": written(lambda y: y[:, 2:4].mul_(3)),
    "write_split": written(lambda y: y.split([2, 6], 1)[1].mul_(3)),
    "write_select": written(lambda y: y.select(1, 3).zero_()),
    "write_copy": written(lambda y: y.narrow(2, 1, 3).copy_(y.narrow(2, 4, 3))),
    "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(x[:, :, :8, :10], 2),
    "channel_shuffle": lambda x: F.channel_shuffle(x, 2),
    "pad": lambda x: F.pad(x, (1, 2, 3, 1)),
    **{
        f"pad_{mode}": lambda x, mode=mode: F.pad(x, (1, 2, 2, 1), mode=mode)  # type: ignore[misc]
        for mode in ("reflect", "replicate", "circular")
    },
    "pad_replicate_row": lambda x: F.pad(row(x), (1, 2), mode="replicate"),
    "pad_reflect_row": lambda x: F.pad(row(x), (1, 2), mode="reflect"),
    "pad_reflect_volume": lambda x: F.pad(x[None], (1, 1, 1, 1, 1, 1), mode="reflect"),
    "pad_replicate_volume": lambda x: F.pad(x[None], (1, 1, 1, 1, 1, 1), mode="replicate"),
    "im2col": lambda x: F.unfold(x, 3),
    "col2im": lambda x: F.fold(x.flatten(1)[:, :700].reshape(2, 28, 25), (6, 6), 2),
}

WINDOWS: dict[str, Call] = {
    "conv1d": lambda x: F.conv1d(row(x), weights(x, 4, 8, 3)),
    "conv2d": lambda x: F.conv2d(x, weights(x, 4, 8, 3, 3), padding=1),
    "conv2d_same": lambda x: F.conv2d(x, weights(x, 4, 8, 3, 3), padding="same"),
    "conv2d_dilated": lambda x: F.conv2d(x, weights(x, 4, 8, 3, 3), dilation=2),
    "conv2d_groups": lambda x: F.conv2d(x, weights(x, 8, 1, 3, 3), groups=8),
    "conv3d": lambda x: F.conv3d(x[None], weights(x, 4, 2, 3, 3, 3)),
    "conv_transpose2d": lambda x: F.conv_transpose2d(x, weights(x, 8, 4, 3, 3), stride=2, output_padding=1),
    "conv_transpose2d_dilated": lambda x: F.conv_transpose2d(x, weights(x, 8, 4, 3, 3), stride=2, dilation=2),
    "conv_transpose1d": lambda x: F.conv_transpose1d(row(x), weights(x, 8, 4, 3), stride=2),
    "conv_transpose3d": lambda x: F.conv_transpose3d(x[None], weights(x, 2, 4, 3, 3, 3), stride=2),
    "deform_conv2d": _deformed,
    "max_pool1d": lambda x: F.max_pool1d(row(x), 2),
    "max_pool1d_dilated": lambda x: F.max_pool1d(row(x), 2, dilation=2),
    "max_pool2d": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max_pool2d_ceil": lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True),
    "max_pool2d_dilated": lambda x: F.max_pool2d(x, 3, 1, dilation=2),
    "max_pool2d_indices": lambda x: F.max_pool2d(x, 2, return_indices=True),
    "max_pool3d": lambda x: F.max_pool3d(x[None], 2),
    "max_pool3d_dilated": lambda x: F.max_pool3d(x[None], 2, dilation=2),
    "max_unpool2d": lambda x: F.max_unpool2d(*F.max_pool2d(x[..., :8, :10], 2, return_indices=True), (2, 2)),
    "fractional_max_pool2d": lambda x: F.fractional_max_pool2d(x, 2, output_size=(4, 5)),
    "avg_pool1d": lambda x: F.avg_pool1d(row(x), 2),
    "avg_pool2d": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "avg_pool2d_ceil": lambda x: F.avg_pool2d(x, 2, 2, ceil_mode=True),
    "avg_pool2d_divisor": lambda x: F.avg_pool2d(x, 2, 2, divisor_override=3),
    "avg_pool3d": lambda x: F.avg_pool3d(x[None], 2),
    "lp_pool2d": lambda x: F.lp_pool2d(x, 2, 2),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(row(x), 9),
    "adaptive_avg_pool1d_uneven": lambda x: F.adaptive_avg_pool1d(row(x), 5),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x[..., :10], (3, 5)),
    "adaptive_avg_pool2d_one": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive_avg_pool2d_uneven": lambda x: F.adaptive_avg_pool2d(x, (4, 5)),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(x[None], (4, 3, 1)),
    "adaptive_avg_pool3d_uneven": lambda x: F.adaptive_avg_pool3d(x[None], (3, 2, 2)),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(row(x), 9),
    "adaptive_max_pool1d_uneven": lambda x: F.adaptive_max_pool1d(row(x), 5),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, (3, 11)),
    "adaptive_max_pool2d_uneven": lambda x: F.adaptive_max_pool2d(x, (4, 5)),
    "adaptive_max_pool3d": lambda x: F.adaptive_max_pool3d(x[None], (4, 3, 1)),
    "nearest": _resized("nearest", scale_factor=2),
    "nearest_size": _resized("nearest", size=(13, 17)),
    "nearest_smaller": _resized("nearest", size=(5, 6)),
    "nearest_row": _resized("nearest", row, scale_factor=2),
    "nearest_volume": _resized("nearest", lambda x: x[None], scale_factor=2),
    "nearest_exact": _resized("nearest-exact", size=(13, 17)),
    "nearest_exact_row": _resized("nearest-exact", row, scale_factor=2),
    "nearest_exact_volume": _resized("nearest-exact", lambda x: x[None], scale_factor=2),
    "linear": _resized("linear", row, scale_factor=2),
    "bilinear": _resized("bilinear", scale_factor=2),
    "bilinear_corners": _resized("bilinear", size=(13, 17), align_corners=True),
    "bilinear_smaller": _resized("bilinear", size=(5, 6)),
    "bilinear_antialias": _resized("bilinear", size=(5, 6), antialias=True),
    "bicubic": _resized("bicubic", size=(13, 17)),
    "bicubic_antialias": _resized("bicubic", size=(5, 6), antialias=True),
    "trilinear": _resized("trilinear", lambda x: x[None], scale_factor=2),
    "area": _resized("area", size=(4, 5)),
    "grid_sample": lambda x: F.grid_sample(x, weights(x, 2, 5, 6, 2), align_corners=False),
    "grid_sample_nearest": lambda x: F.grid_sample(x, weights(x, 2, 5, 6, 2), mode="nearest", align_corners=True),
    "grid_sample_volume": lambda x: F.grid_sample(x[None], weights(x, 1, 2, 3, 3, 3), align_corners=False),
    "affine_grid": lambda x: F.affine_grid(x[:, 0, :2, :3], [2, 3, 4, 5], align_corners=False),
    "nms": _torchvision("nms"),
    "roi_align": _torchvision("roi_align", 3),
    "roi_pool": _torchvision("roi_pool", 3),
    "ps_roi_align": _torchvision("ps_roi_align", 2),
    "ps_roi_pool": _torchvision("ps_roi_pool", 2),
}

PRODUCTS: dict[str, Call] = {
    "matmul": lambda x: x @ x.mT,
    "bmm": lambda x: x[:, 0] @ x[:, 0].mT,
    "mv": lambda x: x[0, 0] @ x[0, 0, 0],
    "linear_layer": lambda x: F.linear(x, weights(x, 4, 11), weights(x, 4)),
    "addmm": lambda x: torch.addmm(x[0, 0, :, :9], x[0, 0], x[0, 0].mT),
    "baddbmm": lambda x: torch.baddbmm(x[:, 0, :, :9], x[:, 0], x[:, 1].mT),
    "einsum": lambda x: torch.einsum("bchw,bdhw->bcd", x, x),
    "tensordot": lambda x: torch.tensordot(x[0, 0], x[0, 0].mT, 1),
    "outer": lambda x: torch.outer(x[0, 0, 0], x[0, 0, 1]),
    "kron": lambda x: torch.kron(x[0, 0], x[0, 1]),
    "cross": lambda x: torch.linalg.cross(x[..., :3], x[..., 3:6]),
    "cross_any": lambda x: torch.cross(x[..., :3], x[..., 3:6], dim=-1),
    "cdist": lambda x: torch.cdist(x[:, 0], x[:, 1]),
    "cdist_many": lambda x: torch.cdist(row(x).mT, row(x).mT),
    "pdist": lambda x: F.pdist(x[0, 0]),
    "pairwise_distance": lambda x: F.pairwise_distance(x, x.flip(0)),
    "cosine_similarity": lambda x: F.cosine_similarity(x, x.flip(0)),
    "bilinear_layer": lambda x: F.bilinear(x[:, 0], x[:, 1], weights(x, 3, 11, 11)),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "attention_causal": lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True),
    "batch_norm": lambda x: F.batch_norm(x, weights(x, 8), weights(x, 8).abs()),
    "batch_norm_training": lambda x: F.batch_norm(x, None, None, training=True),
    "layer_norm": lambda x: F.layer_norm(x, (9, 11)),
    "group_norm": lambda x: F.group_norm(x, 4),
    "instance_norm": lambda x: F.instance_norm(x),
    "rms_norm": lambda x: F.rms_norm(x, (11,)),
    "local_response_norm": lambda x: F.local_response_norm(x, 3),
    "weight_norm": lambda x: torch._weight_norm(x[0, 0], x[0, 0, :, :1].abs()),
    "det": lambda x: torch.linalg.det(square(x)),
    "slogdet": lambda x: torch.linalg.slogdet(square(x)),
    "logdet": lambda x: square(x).logdet(),
    "inverse": lambda x: torch.linalg.inv(square(x)),
    "pinv": lambda x: torch.linalg.pinv(square(x)),
    "solve": lambda x: torch.linalg.solve(square(x), x[:, 0]),
    "solve_triangular": lambda x: torch.linalg.solve_triangular(square(x), x[:, 0], upper=True),
    "lstsq": lambda x: torch.linalg.lstsq(square(x), x[:, 0]).solution,
    "qr": lambda x: torch.linalg.qr(square(x)),
    "cholesky": lambda x: torch.linalg.cholesky(square(x)),
    "cholesky_solve": lambda x: torch.cholesky_solve(x[:, 0], square(x)),
    "eigvals": lambda x: torch.linalg.eigvals(square(x)),
    "svd": lambda x: torch.linalg.svd(square(x))[1],
    "svd_vectors": lambda x: square(x).svd(),
    "eigh": lambda x: torch.linalg.eigh(square(x))[0],
    "lu_factor": lambda x: torch.linalg.lu_factor(square(x))[0],
    "matrix_exp": lambda x: torch.matrix_exp(square(x) / 99),
    "matrix_power": lambda x: torch.linalg.matrix_power(square(x), 3),
    "fft": lambda x: torch.fft.fft2(x),
    "rfft": lambda x: torch.fft.rfft2(x),
    "irfft": lambda x: torch.fft.irfft2(torch.complex(x, x)),
    "fftshift": lambda x: torch.fft.fftshift(x),
    "stft": lambda x: torch.stft(row(x)[0], 16, window=weights(x, 16).abs(), return_complex=True),
    "complex": lambda x: torch.complex(x, x).abs(),
    "polar": lambda x: torch.polar(x, x),
    "gru": lambda x: torch.gru_cell(x[0, 0], x[0, 1, :, :4], weights(x, 12, 11), weights(x, 12, 4)),
}
