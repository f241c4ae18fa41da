"""Losses as modules; what they compute is compared in detail as functions."""

from tests.agreement.case import LayerCase, exactly, floats, integers

PAIR = (floats(4, 3), floats(4, 3))
UNIT = {"low": 0.02, "high": 0.98}
SIGNS = exactly([[1.0, -1.0, 1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [-1.0, 1.0, -1.0]])
CHANCES = floats(4, 3, **UNIT, gradient=False)
CLASSES = integers(4, high=3)
WEIGHT = exactly([1.0, 0.5, 2.0])

CASES = [
    LayerCase(name, {**options, **reduction}, inputs)
    for name, options, inputs in [
        ("MSELoss", {}, PAIR),
        ("L1Loss", {}, PAIR),
        ("HuberLoss", {"delta": 0.3}, PAIR),
        ("SmoothL1Loss", {"beta": 0.3}, PAIR),
        ("CrossEntropyLoss", {"weight": WEIGHT, "label_smoothing": 0.1, "ignore_index": 2}, (floats(4, 3), CLASSES)),
        ("NLLLoss", {"weight": WEIGHT}, (floats(4, 3), CLASSES)),
        ("BCELoss", {"weight": WEIGHT}, (floats(4, 3, **UNIT), CHANCES)),
        ("BCEWithLogitsLoss", {"weight": WEIGHT, "pos_weight": exactly([2.0, 3.0, 0.5])}, (floats(4, 3), CHANCES)),
        ("KLDivLoss", {"log_target": True}, (floats(4, 3), floats(4, 3, gradient=False))),
        ("PoissonNLLLoss", {"full": True}, (floats(4, 3), floats(4, 3, low=0.5, high=4.0))),
        ("GaussianNLLLoss", {"full": True}, (*PAIR, floats(4, 3, low=0.5, high=4.0))),
        ("MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": WEIGHT}, (floats(4, 3), CLASSES)),
        ("MultiLabelMarginLoss", {}, (floats(2, 3), exactly([[2, 0, -1], [1, -1, 0]]))),
        ("MultiLabelSoftMarginLoss", {"weight": WEIGHT}, (floats(4, 3), CHANCES)),
        ("SoftMarginLoss", {}, (floats(4, 3), SIGNS)),
        ("HingeEmbeddingLoss", {"margin": 0.7}, (floats(4, 3), SIGNS)),
        ("MarginRankingLoss", {"margin": 0.2}, (*PAIR, SIGNS)),
        ("CosineEmbeddingLoss", {"margin": 0.2}, (*PAIR, exactly([1, -1, -1, 1]))),
        ("TripletMarginLoss", {"margin": 0.8, "p": 1, "swap": True}, (*PAIR, floats(4, 3))),
        ("TripletMarginWithDistanceLoss", {"margin": 0.8, "swap": True}, (*PAIR, floats(4, 3))),
    ]
    for reduction in ({}, {"reduction": "sum"})
] + [
    LayerCase(
        "CTCLoss",
        {"blank": 1, "zero_infinity": True},
        (floats(5, 2, 4, gradient=False), exactly([[0, 2], [3, 3]]), exactly([5, 2]), exactly([2, 2])),
    )
]
