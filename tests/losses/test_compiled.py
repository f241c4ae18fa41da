"""Every loss and its gradients, compiled to native code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule import losses
from chainrule.autodiff import value_and_grad
from chainrule.testing import check_compiled
from chainrule.trace import trace

RNG = np.random.default_rng(0)
X, Y, Z = RNG.normal(size=(3, 4, 5))
CHANCES, SIGNS = RNG.uniform(0.1, 0.9, (4, 5)), np.where(RNG.normal(size=(4, 5)) > 0, 1.0, -1.0)
CLASSES, LABELS = np.array([0, 4, -100, 2]), np.array([[3, 0, -1, 1, 1], [-1, 2, 2, 2, 0], [0, 1, 2, 3, 4], [4] * 5])
FRAMES = RNG.normal(size=(6, 2, 4))

CALLS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "binary_cross_entropy": (lambda p, w: losses.binary_cross_entropy(p, CHANCES, weight=w), (CHANCES[::-1], X[0])),
    "binary_cross_entropy_with_logits": (
        lambda x, w: losses.binary_cross_entropy_with_logits(x, CHANCES, weight=w, pos_weight=Y), (X, Z[0]),
    ),
    "cosine_embedding_loss": (lambda x, y: losses.cosine_embedding_loss(x, y, SIGNS[:, 0], margin=0.2), (X, Y)),
    "cross_entropy": (lambda x: losses.cross_entropy(x, CLASSES, weight=CHANCES[0], label_smoothing=0.1), (X,)),
    "ctc_loss": (
        lambda x: losses.ctc_loss(x, np.array([[1, 1, 2], [3, 1, 1]]), [6, 4], [3, 2], sample_weight=[1.0, 2.0]),
        (FRAMES - 3.0,),
    ),
    "dice_loss": (lambda p: losses.dice_loss(p, CHANCES), (CHANCES[::-1],)),
    "gaussian_nll_loss": (lambda x, y, v: losses.gaussian_nll_loss(x, y, v, full=True), (X, Y, CHANCES[:, 0])),
    "hinge_embedding_loss": (lambda x: losses.hinge_embedding_loss(x, SIGNS), (X,)),
    "huber": (lambda x, y: losses.huber(x, y, delta=0.5), (X, Y)),
    "kl_div": (lambda x, y: losses.kl_div(x, y, log_target=True, reduction="batchmean"), (X, Y)),
    "mae": (losses.mae, (X, Y)),
    "margin_ranking_loss": (lambda x, y: losses.margin_ranking_loss(x, y, SIGNS, margin=0.5), (X, Y)),
    "mse": (losses.mse, (X, Y)),
    "multi_margin_loss": (lambda x: losses.multi_margin_loss(x, [0, 4, 1, 2], p=2, weight=CHANCES[0]), (X,)),
    "multilabel_margin_loss": (lambda x: losses.multilabel_margin_loss(x, LABELS), (X,)),
    "multilabel_soft_margin_loss": (lambda x: losses.multilabel_soft_margin_loss(x, CHANCES), (X,)),
    "nll": (lambda x: losses.nll(x, CLASSES, sample_weight=[1.0, 2.0, 3.0, 4.0]), (X,)),
    "poisson_nll_loss": (lambda x, y: losses.poisson_nll_loss(x, y, log_input=False, full=True), (CHANCES, 3.0 + X)),
    "sigmoid_focal_loss": (lambda x: losses.sigmoid_focal_loss(x, CHANCES, gamma=1.5, reduction="mean"), (X,)),
    "smooth_l1_loss": (lambda x, y: losses.smooth_l1_loss(x, y, beta=0.5), (X, Y)),
    "soft_margin_loss": (lambda x: losses.soft_margin_loss(x, SIGNS), (X,)),
    "softmax_focal_loss": (lambda x: losses.softmax_focal_loss(x, CLASSES, reduction="sum", alpha=CHANCES[0]), (X,)),
    "triplet_margin_loss": (lambda x, y, z: losses.triplet_margin_loss(x, y, z, swap=True), (X, Y, Z)),
    "triplet_margin_with_distance_loss": (losses.triplet_margin_with_distance_loss, (X, Y, Z)),
}  # fmt: skip
SAME = {"mse_loss": "mse", "l1_loss": "mae", "huber_loss": "huber", "nll_loss": "nll"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CALLS)
def test_a_compiled_loss_and_its_gradients_are_the_interpreted_ones(name: str, dtype: Any) -> None:
    loss, arguments = CALLS[name]
    inputs = [x.astype(dtype) for x in arguments]
    graph = trace(value_and_grad(loss, tuple(range(len(inputs)))))(*inputs)
    assert graph.outputs[0].type.shape == () and graph.outputs[0].dtype.numpy == dtype
    check_compiled(graph, inputs)


def test_every_loss_is_compiled_here() -> None:
    assert {*CALLS, *SAME, "Reduction"} == set(losses.__all__)
    assert all(getattr(losses, name) is getattr(losses, same) for name, same in SAME.items())
