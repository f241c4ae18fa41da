"""Losses as functions, for numbers, classes and distributions."""

from tests.agreement.case import FunctionCase, exactly, floats, grid, integers, probabilities, vary

REDUCTIONS = ["mean", "sum", "none"]
SHAPE = (4, 3)
UNIT = {"low": 0.02, "high": 0.98}
LABELS_AS_FLOATS = floats(*SHAPE, low=0.0, high=1.0, gradient=False)
ELEMENT_WEIGHTS = (exactly([0.5, 1.0, 3.0]), floats(*SHAPE, low=0.0, high=2.0, gradient=False))
KINKS = exactly([[0.0, 1.0, -1.0], [0.3, -0.3, 2.0]], True), exactly([[0.0] * 3] * 2, True)
WEIGHT = exactly([1.0, 0.5, 2.0, 0.25, 1.5])
IGNORED = exactly([2, -100, 0, 4])

CASES = [
    *(
        FunctionCase(f"losses.{name}", options, [floats(*SHAPE), floats(*SHAPE)], peer=f"nn.functional.{peer}")
        for name, peer in [("mse", "mse_loss"), ("mse_loss", "mse_loss"), ("mae", "l1_loss"), ("l1_loss", "l1_loss")]
        for options in grid(reduction=REDUCTIONS)
    ),
    *(
        FunctionCase(f"losses.{name}", options, [floats(*SHAPE), floats(*SHAPE)], peer="nn.functional.huber_loss")
        for name in ("huber", "huber_loss")
        for options in grid(reduction=REDUCTIONS, delta=[1.0, 0.3])
    ),
    *(
        FunctionCase("losses.smooth_l1_loss", options, [x, y], peer="nn.functional.smooth_l1_loss")
        for x, y in [(floats(*SHAPE), floats(*SHAPE)), KINKS]
        for options in grid(reduction=REDUCTIONS, beta=[1.0, 0.3, 0.0])
    ),
    *(
        FunctionCase(
            "losses.binary_cross_entropy",
            options,
            [floats(*SHAPE, **UNIT), floats(*SHAPE, **UNIT, gradient=gradient)],
            peer="nn.functional.binary_cross_entropy",
        )
        for options in grid(reduction=REDUCTIONS)
        for gradient in (False, True)
    ),
    *(
        FunctionCase(
            "losses.binary_cross_entropy",
            {**options, "weight": weight},
            [floats(*SHAPE, **UNIT), LABELS_AS_FLOATS],
            peer="nn.functional.binary_cross_entropy",
        )
        for options in grid(reduction=REDUCTIONS)
        for weight in ELEMENT_WEIGHTS
    ),
    *(
        FunctionCase(
            "losses.binary_cross_entropy_with_logits",
            options,
            [floats(*SHAPE, low=-6.0, high=6.0), floats(*SHAPE, **UNIT, gradient=False)],
            peer="nn.functional.binary_cross_entropy_with_logits",
        )
        for options in grid(reduction=REDUCTIONS, pos_weight=[None, exactly([0.5, 1.0, 3.0])])
    ),
    *(
        FunctionCase(
            "losses.binary_cross_entropy_with_logits",
            {**options, "weight": weight},
            [exactly([[-1e4, 1e4, 0.0], [800.0, -800.0, 40.0]], True), exactly([[1.0, 0.0, 1.0], [1.0, 0.0, 0.3]])],
            peer="nn.functional.binary_cross_entropy_with_logits",
        )
        for options in grid(reduction=REDUCTIONS, pos_weight=[None, exactly(2.0)])
        for weight in (None, exactly([0.5, 1.0, 3.0]))
    ),
    *(
        FunctionCase("losses.cross_entropy", options, inputs, peer="nn.functional.cross_entropy")
        for inputs in (
            [floats(4, 5), integers(4, high=5)],
            [floats(4, 5), IGNORED],
            [floats(5), integers(high=5)],
            [floats(2, 5, 3), integers(2, 3, high=5)],
            [floats(4, 5), probabilities(4, 5)],
            [floats(2, 5, 3), probabilities(2, 5, 3)],
        )
        for options in vary(reduction=REDUCTIONS, weight=[None, WEIGHT], label_smoothing=[0.0, 0.2])
    ),
    FunctionCase(
        "losses.cross_entropy",
        {"weight": WEIGHT, "label_smoothing": 0.3, "ignore_index": 1},
        [floats(6, 5), exactly([0, 1, 2, 3, 4, 1])],
        peer="nn.functional.cross_entropy",
    ),
    *(
        FunctionCase(f"losses.{name}", options, inputs, peer="nn.functional.nll_loss")
        for name in ("nll", "nll_loss")
        for inputs in ([floats(4, 5), IGNORED], [floats(2, 5, 3), integers(2, 3, high=5)])
        for options in vary(reduction=REDUCTIONS, weight=[None, WEIGHT])
    ),
    FunctionCase(
        "losses.nll", {"ignore_index": 2}, [floats(4, 5), exactly([2, 1, 0, 2])], peer="nn.functional.nll_loss"
    ),
    *(
        FunctionCase("losses.kl_div", options, [floats(4, 5), target], peer="nn.functional.kl_div")
        for target, log_target in [(probabilities(4, 5), False), (floats(4, 5, gradient=False), True)]
        for options in grid(reduction=[*REDUCTIONS, "batchmean"], log_target=[log_target])
    ),
    *(
        FunctionCase("losses.poisson_nll_loss", options, [x, y], peer="nn.functional.poisson_nll_loss")
        for x, y in [(floats(*SHAPE, low=0.1, high=3.0), floats(*SHAPE, low=0.1, high=5.0))]
        for options in grid(log_input=[True, False], full=[False, True], reduction=REDUCTIONS)
    ),
    FunctionCase(
        "losses.poisson_nll_loss",
        {"log_input": False, "eps": 0.1, "full": True},
        [exactly([0.0, 0.0, 2.0], True), exactly([0.0, 3.0, 1.0])],
        peer="nn.functional.poisson_nll_loss",
    ),
    *(
        FunctionCase(
            "losses.gaussian_nll_loss",
            options,
            [floats(4, 3, 2), floats(4, 3, 2), floats(*shape, low=0.1, high=2.0)],
            peer="nn.functional.gaussian_nll_loss",
        )
        for shape in [(4, 3, 2), (4, 3), (4, 3, 1), (4, 1, 2)]
        for options in vary(reduction=REDUCTIONS, full=[False, True], eps=[1e-6, 0.7])
    ),
    FunctionCase(
        "losses.gaussian_nll_loss",
        {},
        [exactly([1.0, 2.0], True), exactly([1.0, 2.5], True), exactly([0.0, 1e-6], True)],
        peer="nn.functional.gaussian_nll_loss",
    ),
    FunctionCase(
        "losses.gaussian_nll_loss", {}, [floats(*SHAPE), floats(*SHAPE), 0.5], peer="nn.functional.gaussian_nll_loss"
    ),
]
