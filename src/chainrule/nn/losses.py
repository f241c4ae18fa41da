"""Losses as modules, as PyTorch has them: made with the options of a function of `chainrule.losses`, then called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from chainrule import losses
from chainrule.errors import DefinitionError
from chainrule.nn.module import Module
from chainrule.tensor import Tensor, tensor


class Loss(Module):
    """A function of `chainrule.losses` as a module.

    Its options (`reduction`, `margin`, ...) are given when it is made, in the order of the function's, and become
    attributes; weights become buffers. It is called like the function without them: with predictions, targets, and, if
    need be, a `sample_weight`.

    Raises `DefinitionError` for an option that the function does not have, and at a call what the function raises.

    >>> loss = CrossEntropyLoss(weight=[1.0, 3.0], label_smoothing=0.1)
    >>> loss
    CrossEntropyLoss(weight=f32[2], label_smoothing=0.1)
    >>> loss([[2.0, 1.0], [0.0, 1.0]], [0, 1])
    tensor(0.36326164, f32[])
    """

    function: ClassVar[Callable[..., Tensor]]
    __signature__: ClassVar[inspect.Signature]

    def __init_subclass__(cls, function: Callable[..., Tensor] | None = None, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if function is not None:
            cls.function = staticmethod(function)
            options = [x for x in inspect.signature(function).parameters.values() if x.kind is x.KEYWORD_ONLY]
            cls.__signature__ = inspect.Signature(
                [x.replace(kind=x.POSITIONAL_OR_KEYWORD) for x in options if x.name != "sample_weight"]
            )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        try:
            given = self.__signature__.bind(*arguments, **options)
        except TypeError as error:
            known = ", ".join(self.__signature__.parameters)
            raise DefinitionError(f"{type(self).__name__}: {error}; its options are {known}") from None
        given.apply_defaults()
        for name, value in given.arguments.items():
            setattr(self, name, tensor(value) if name.endswith("weight") and value is not None else value)

    def forward(self, *inputs: Any, **keywords: Any) -> Tensor:
        """The loss."""
        options = {name: getattr(self, name) for name in self.__signature__.parameters}
        return type(self).function(*inputs, **options, **keywords)

    def options(self) -> str:
        shown: list[str] = []
        for name, option in self.__signature__.parameters.items():
            value = getattr(self, name)
            if isinstance(value, Tensor):
                shown.append(f"{name}={value.type}")
            elif value != option.default and not isinstance(value, Module):
                shown.append(f"{name}={value!r}")
        return ", ".join(shown)


class L1Loss(Loss, function=losses.mae):
    """|prediction - target|; see `losses.mae`."""


class MSELoss(Loss, function=losses.mse):
    """(prediction - target)^2; see `losses.mse`."""


class HuberLoss(Loss, function=losses.huber):
    """Squared error near the target, absolute error far from it; see `losses.huber`."""


class SmoothL1Loss(Loss, function=losses.smooth_l1_loss):
    """`HuberLoss` divided by its threshold; see `losses.smooth_l1_loss`."""


class CrossEntropyLoss(Loss, function=losses.cross_entropy):
    """-log(softmax(logits)) at the target's class; see `losses.cross_entropy`."""


class NLLLoss(Loss, function=losses.nll):
    """-log_probabilities at the target's class; see `losses.nll`."""


class BCELoss(Loss, function=losses.binary_cross_entropy):
    """Cross-entropy of probabilities and truth values; see `losses.binary_cross_entropy`."""


class BCEWithLogitsLoss(Loss, function=losses.binary_cross_entropy_with_logits):
    """Cross-entropy of logits and truth values; see `losses.binary_cross_entropy_with_logits`."""


class MultiMarginLoss(Loss, function=losses.multi_margin_loss):
    """The target's score should be above all others by a margin; see `losses.multi_margin_loss`."""


class MultiLabelMarginLoss(Loss, function=losses.multilabel_margin_loss):
    """The scores of several targets should be above all others by 1; see `losses.multilabel_margin_loss`."""


class MultiLabelSoftMarginLoss(Loss, function=losses.multilabel_soft_margin_loss):
    """The mean over classes of `BCEWithLogitsLoss`; see `losses.multilabel_soft_margin_loss`."""


class SoftMarginLoss(Loss, function=losses.soft_margin_loss):
    """log(1 + exp(-target prediction)); see `losses.soft_margin_loss`."""


class HingeEmbeddingLoss(Loss, function=losses.hinge_embedding_loss):
    """Distances should be small for target 1, above a margin for -1; see `losses.hinge_embedding_loss`."""


class MarginRankingLoss(Loss, function=losses.margin_ranking_loss):
    """One of two numbers should be the larger by a margin; see `losses.margin_ranking_loss`."""


class CosineEmbeddingLoss(Loss, function=losses.cosine_embedding_loss):
    """Vectors should have one direction for target 1, another for -1; see `losses.cosine_embedding_loss`."""


class TripletMarginLoss(Loss, function=losses.triplet_margin_loss):
    """An anchor should be nearer to one vector than to another; see `losses.triplet_margin_loss`."""


class TripletMarginWithDistanceLoss(Loss, function=losses.triplet_margin_with_distance_loss):
    """`TripletMarginLoss` with any distance, a module maybe; see `losses.triplet_margin_with_distance_loss`."""


class KLDivLoss(Loss, function=losses.kl_div):
    """The divergence of a predicted distribution from the true one; see `losses.kl_div`."""


class PoissonNLLLoss(Loss, function=losses.poisson_nll_loss):
    """The negative log-likelihood of counts; see `losses.poisson_nll_loss`."""


class GaussianNLLLoss(Loss, function=losses.gaussian_nll_loss):
    """The negative log-likelihood of numbers with a predicted variance; see `losses.gaussian_nll_loss`."""


class CTCLoss(Loss, function=losses.ctc_loss):
    """Connectionist temporal classification; see `losses.ctc_loss`."""
