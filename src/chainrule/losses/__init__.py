"""Losses: one number that says how far predictions are from their targets.

All compute in the data type of the first argument, and have two arguments in common:

    reduction       "mean", "sum", or "none" for the loss of every element
    sample_weight   a number for each row, or for each element, by which its loss is multiplied;
                    the mean is then sum(weight * loss) / sum(weight), so that a row of weight 2 counts like two rows

Nothing broadcasts between prediction and target: [n, 1] against [n] would compare every prediction with every target.
Definitions and defaults are PyTorch's, and so are the names; those of `mse`, `mae`, `huber` and `nll` are there as well
(`mse_loss`, `l1_loss`, `huber_loss`, `nll_loss`). `nn` has them as modules, `nn.CrossEntropyLoss`.
"""

from chainrule.losses.classification import binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, nll
from chainrule.losses.classification import nll as nll_loss
from chainrule.losses.common import Reduction
from chainrule.losses.embedding import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from chainrule.losses.imbalanced import dice_loss, sigmoid_focal_loss, softmax_focal_loss
from chainrule.losses.margin import (
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
)
from chainrule.losses.probabilistic import gaussian_nll_loss, kl_div, poisson_nll_loss
from chainrule.losses.regression import huber, mae, mse, smooth_l1_loss
from chainrule.losses.regression import huber as huber_loss
from chainrule.losses.regression import mae as l1_loss
from chainrule.losses.regression import mse as mse_loss
from chainrule.losses.sequence import ctc_loss

__all__ = [
    "Reduction",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "ctc_loss",
    "dice_loss",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mae",
    "margin_ranking_loss",
    "mse",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll",
    "nll_loss",
    "poisson_nll_loss",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax_focal_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
