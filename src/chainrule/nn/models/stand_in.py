"""Layers that models need."""

from __future__ import annotations

from chainrule.nn.normalization import BatchNorm


class BatchNorm2d(BatchNorm):
    """Batch norm of images."""

    ranks = (4,)
