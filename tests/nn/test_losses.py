"""Losses as modules: options, buffers, and how they are shown."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import chainrule as cr
from chainrule import losses, nn
from chainrule.errors import DefinitionError, ShapeError
from chainrule.nn.losses import Loss

RNG = np.random.default_rng(0)
X, CLASSES = RNG.normal(size=(4, 3)), np.array([0, 2, 1, 1])
WEIGHT = np.array([1.0, 2.0, 0.5])
KINDS = [x for x in vars(nn).values() if isinstance(x, type) and issubclass(x, Loss)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_options_are_those_of_the_function(kind: type[Loss]) -> None:
    options = {
        name: x.default
        for name, x in inspect.signature(kind.function).parameters.items()
        if x.kind is x.KEYWORD_ONLY and name != "sample_weight"
    }
    made = kind()
    assert {name: x.default for name, x in inspect.signature(kind).parameters.items()} == options
    assert {name: getattr(made, name) for name in options} == options and "reduction" in options
    assert repr(made) == f"{kind.__name__}()" and made.state_dict() == {}


def test_every_loss_that_is_a_module_in_pytorch_is_here() -> None:
    assert len(KINDS) == 21 and {x.function for x in KINDS} == {
        x
        for name, x in vars(losses).items()
        if inspect.isfunction(x) and name not in ("dice_loss", "sigmoid_focal_loss", "softmax_focal_loss")
    }


def test_it_computes_what_the_function_does_with_its_options() -> None:
    loss = nn.CrossEntropyLoss(WEIGHT, label_smoothing=0.2, reduction="sum")
    rows = np.array([1.0, 0.0, 2.0, 1.0])
    options = {"weight": WEIGHT, "label_smoothing": 0.2, "reduction": "sum"}
    assert loss(X, CLASSES).item() == losses.cross_entropy(X, CLASSES, **options).item()
    assert loss(X, CLASSES, sample_weight=rows).item() == (
        losses.cross_entropy(X, CLASSES, sample_weight=rows, **options).item()
    )


def test_weights_are_buffers_of_the_state() -> None:
    loss = nn.BCEWithLogitsLoss(weight=[1.0, 2.0, 3.0], pos_weight=WEIGHT)
    assert [name for name, _ in loss.named_buffers()] == ["weight", "pos_weight"] and loss.parameters() == []
    other = nn.BCEWithLogitsLoss(weight=np.zeros(3, np.float32), pos_weight=np.ones(3))
    other.load_state_dict(loss.state_dict())
    assert other(X, X > 0).item() == loss(X, X > 0).item()


def test_options_are_attributes_that_can_be_changed() -> None:
    loss = nn.TripletMarginLoss(0.5)
    assert loss.margin == 0.5 and loss.p == 2.0
    loss.reduction = "none"
    assert loss(X, X[::-1], X + 1.0).shape == (4,)


def test_it_shows_the_options_that_are_not_the_usual_ones() -> None:
    assert repr(nn.CTCLoss(blank=3, zero_infinity=True)) == "CTCLoss(blank=3, zero_infinity=True)"
    assert repr(nn.NLLLoss(weight=WEIGHT, reduction="sum")) == "NLLLoss(weight=f64[3], reduction='sum')"


def test_a_distance_may_be_a_module_that_is_trained() -> None:
    class Distance(nn.Module):
        def __init__(self) -> None:
            self.scale = nn.Parameter(np.ones(3))

        def forward(self, a: cr.Tensor, b: cr.Tensor) -> cr.Tensor:
            return cr.abs((a - b) * self.scale).sum(-1)

    loss = nn.TripletMarginWithDistanceLoss(distance_function=Distance())
    loss(X, X[::-1], X + 0.1).backward()
    (scale,) = loss.parameters()
    assert scale.grad is not None and scale.grad.numpy().any()
    assert repr(loss).splitlines()[1] == "  distance_function: Distance()  3 parameters"


def test_a_compiled_step_reads_the_buffers() -> None:
    loss = nn.CrossEntropyLoss(WEIGHT)
    step = cr.compile(lambda x, y: loss(x, y))
    for scale in (1.0, 3.0):
        loss.weight.assign(np.array([scale, 1.0, 2.0]))
        assert step(X, CLASSES).item() == pytest.approx(loss(X, CLASSES).item(), rel=1e-12)


def test_an_own_loss_may_build_on_one() -> None:
    class Doubled(nn.MSELoss):
        def forward(self, *inputs: object, **keywords: object) -> cr.Tensor:
            return 2.0 * super().forward(*inputs, **keywords)

    assert Doubled(reduction="sum")([1.0, 3.0], [0.0, 1.0]).item() == 10.0


def test_an_option_that_is_not_there_is_refused() -> None:
    with pytest.raises(DefinitionError, match=r"MSELoss: .*'size_average'; its options are reduction$"):
        nn.MSELoss(size_average=True)
    with pytest.raises(DefinitionError, match="CTCLoss: too many positional arguments"):
        nn.CTCLoss(0, "mean", False, 1)


def test_an_error_names_the_layer() -> None:
    with pytest.raises(ShapeError, match=r"nothing broadcasts(.|\n)*layer  HuberLoss\(delta=0.5\)"):
        nn.HuberLoss(delta=0.5)(np.zeros((4, 1)), np.zeros(4))
