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
from chainrule.losses.probabilistic import gaussian_nll_loss, kl_div, poisson_nll_loss
from chainrule.losses.regression import huber, mae, mse, smooth_l1_loss
from chainrule.losses.regression import huber as huber_loss
from chainrule.losses.regression import mae as l1_loss
from chainrule.losses.regression import mse as mse_loss

__all__ = [
    "Reduction",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "gaussian_nll_loss",
    "huber",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mae",
    "mse",
    "mse_loss",
    "nll",
    "nll_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]
