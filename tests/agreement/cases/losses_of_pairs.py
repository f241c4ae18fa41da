"""Losses as functions, for margins, embeddings, rankings and sequences."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from tests.agreement.case import FunctionCase, exactly, floats, grid, integers, vary

REDUCTIONS = ["mean", "sum", "none"]
SHAPE = (4, 3)
SIGNS = exactly([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [-1.0, 1.0, -1.0]])
ROWS_OF_SIGNS = exactly([1, -1, -1, 1])
CLASS_WEIGHT = exactly([1.0, 0.5, 2.0, 0.25, 1.5])
AT_KINKS = exactly([[1.0, 0.0, 0.5, 0.5, -0.5], [2.0, 2.0, 1.0, 3.0, 0.0]], gradient=True)


def case(name: str, options: Mapping[str, Any], inputs: Sequence[Any]) -> FunctionCase:
    """A function that both sides call by the same name."""
    return FunctionCase(f"losses.{name}", options, inputs, peer=f"nn.functional.{name}")


CASES = [
    *(
        case("hinge_embedding_loss", options, [x, SIGNS])
        for x in (floats(*SHAPE), exactly([[0.0, 1.0, 0.3], [0.3, 1.0, -2.0], [0.5, 9.0, 1.0], [0.0, 0.0, 2.0]], True))
        for options in vary(reduction=REDUCTIONS, margin=[1.0, 0.3])
    ),
    case("hinge_embedding_loss", {}, [floats(3), exactly([0.0, 1.0, 2.0])]),
    *(case("soft_margin_loss", options, [floats(*SHAPE), SIGNS]) for options in grid(reduction=REDUCTIONS)),
    *(
        case("margin_ranking_loss", options, [floats(*SHAPE), floats(*SHAPE), SIGNS])
        for options in vary(reduction=REDUCTIONS, margin=[0.0, 0.7])
    ),
    case("margin_ranking_loss", {}, [exactly([1.0, 2.0], True), exactly([1.0, 2.0], True), exactly([1.0, -1.0])]),
    *(
        case("cosine_embedding_loss", options, [floats(4, 5), floats(4, 5), ROWS_OF_SIGNS])
        for options in vary(reduction=REDUCTIONS, margin=[0.0, 0.3, -0.5])
    ),
    case("cosine_embedding_loss", {}, [floats(5), floats(5), exactly(-1)]),
    case("cosine_embedding_loss", {"reduction": "none"}, [exactly([[0.0, 0.0]]), floats(1, 2), exactly([1])]),
    *(
        case("triplet_margin_loss", options, [floats(4, 5), floats(4, 5), floats(4, 5)])
        for options in [
            *vary(reduction=REDUCTIONS, margin=[1.0, 0.2], p=[2.0, 1.0, 3.0, 1.5, inf], eps=[1e-6, 0.1]),
            *grid(swap=[True], p=[2.0, 1.0], reduction=["none"]),
        ]
    ),
    case("triplet_margin_loss", {"swap": True}, [floats(5), floats(5), floats(5)]),
    case("triplet_margin_loss", {"eps": 0.0}, [exactly([[1.0, 2.0]], True), exactly([[1.0, 2.0]], True), floats(1, 2)]),
    *(
        case("triplet_margin_with_distance_loss", options, [floats(4, 5), floats(4, 5), floats(4, 5)])
        for options in vary(reduction=REDUCTIONS, margin=[1.0, 0.2], swap=[False, True])
    ),
    *(
        case("multi_margin_loss", options, inputs)
        for inputs in ([floats(4, 5), integers(4, high=5)], [floats(5), exactly(3)], [AT_KINKS, exactly([0, 3])])
        for options in vary(reduction=REDUCTIONS, p=[1, 2], margin=[1.0, 0.4], weight=[None, CLASS_WEIGHT])
    ),
    *(
        case("multilabel_margin_loss", options, inputs)
        for inputs in (
            [floats(3, 4), exactly([[3, 0, -1, 1], [-1, 2, 2, 2], [0, 1, 2, 3]])],
            [floats(4), exactly([1, 1, 3, -1])],
        )
        for options in grid(reduction=REDUCTIONS)
    ),
    *(
        case("multilabel_soft_margin_loss", options, [floats(4, 5), floats(4, 5, low=0.0, high=1.0, gradient=False)])
        for options in grid(reduction=REDUCTIONS, weight=[None, CLASS_WEIGHT])
    ),
    case("multilabel_soft_margin_loss", {}, [floats(5), floats(5, low=0.0, high=1.0, gradient=False)]),
    # PyTorch's gradients are those of the logits before a log_softmax: only values are compared here.
    *(
        case("ctc_loss", options, [floats(7, 3, 5, low=-4.0, high=-0.1, gradient=False), targets, lengths, sizes])
        for targets, lengths, sizes in (
            (integers(3, 4, low=1, high=5), exactly([7, 6, 7]), exactly([3, 2, 1])),
            (exactly([1, 1, 2, 3, 4, 4]), exactly([7, 5, 3]), exactly([3, 3, 0])),
            (exactly([[1, 1, 1, 1], [1, 2, 3, 4], [2, 2, 2, 1]]), exactly([7, 2, 7]), exactly([4, 4, 4])),
        )
        for options in vary(reduction=REDUCTIONS, zero_infinity=[False, True])
    ),
    case(
        "ctc_loss",
        {"blank": 2, "reduction": "none"},
        [floats(4, 5, gradient=False), exactly([1, 0, 3]), exactly(4), exactly(3)],
    ),
]
