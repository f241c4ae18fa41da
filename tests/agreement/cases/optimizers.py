"""Ten steps of every optimizer."""

from tests.agreement.case import Arguments, OptimizerCase, vary

BETAS = [(0.9, 0.999), (0.5, 0.8)]
EITHER = [False, True]
MORE: dict[str, list[Arguments]] = {
    "Adadelta": vary(lr=[1.0, 0.1], rho=[0.9, 0.5], eps=[1e-6, 0.1], weight_decay=[0.0, 0.2], maximize=EITHER),
    "Adamax": vary(lr=[0.01], betas=BETAS, eps=[1e-8, 0.1], weight_decay=[0.0, 0.2], maximize=EITHER),
    "NAdam": [
        *vary(lr=[0.01], betas=BETAS, eps=[1e-8, 0.1], momentum_decay=[4e-3, 0.1], maximize=EITHER),
        *vary(weight_decay=[0.2], decoupled_weight_decay=EITHER),
    ],
    "RAdam": [
        *vary(lr=[0.01], betas=[*BETAS, (0.9, 0.9)], eps=[1e-8, 0.1], maximize=EITHER),
        *vary(weight_decay=[0.2], decoupled_weight_decay=EITHER),
    ],
    "Rprop": vary(lr=[0.01], etas=[(0.5, 1.2), (0.3, 2.0)], step_sizes=[(1e-6, 50.0), (1e-3, 0.02)], maximize=EITHER),
    "SGD": [{"momentum": 0.9, "weight_decay": 0.1, "maximize": True}, {"weight_decay": 0.1, "maximize": True}],
    "Adam": [
        *vary(lr=[0.01], betas=BETAS, amsgrad=[True], weight_decay=[0.0, 0.2], maximize=EITHER),
        {"decoupled_weight_decay": True, "weight_decay": 0.2},
    ],
    "AdamW": [{"amsgrad": True, "maximize": True}],
    "RMSprop": [{"maximize": True, "momentum": 0.5, "weight_decay": 0.2}],
    "Adagrad": [{"maximize": True, "weight_decay": 0.2}],
}

CASES = [
    *(OptimizerCase(name, arguments) for name, alternatives in MORE.items() for arguments in alternatives),
    *(
        OptimizerCase("LBFGS", arguments, closure=True, steps=3)
        for arguments in vary(
            max_iter=[4, 20], lr=[1.0, 0.1], line_search_fn=["strong_wolfe", None], history_size=[100, 2]
        )
    ),
    OptimizerCase("SGD", {"lr": 0.1}, closure=True),
    *(
        OptimizerCase(name, {"lr": 0.1, "weight_decay": 0.1}, groups=({"lr": 0.01}, {"weight_decay": 0.0}, {}))
        for name in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam")
    ),
    *(
        OptimizerCase("SGD", {"lr": 0.1, **options})
        for options in [
            *vary(momentum=[0.0, 0.9], weight_decay=[0.0, 0.1]),
            {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.9, "dampening": 0.3},
            {"momentum": 0.5, "dampening": 0.2, "weight_decay": 0.1},
        ]
    ),
    *(
        OptimizerCase(name, options)
        for name in ("Adam", "AdamW")
        for options in vary(
            lr=[0.01], betas=[(0.9, 0.999), (0.5, 0.8), (0.0, 0.9)], eps=[1e-8, 0.1], weight_decay=[0.0, 0.2]
        )
    ),
    *(
        OptimizerCase("RMSprop", options)
        for options in [
            *vary(lr=[0.01], alpha=[0.99, 0.5], eps=[1e-8, 0.1], weight_decay=[0.0, 0.2], momentum=[0.0, 0.9]),
            {"centered": True, "alpha": 0.6},
            {"centered": True, "alpha": 0.6, "momentum": 0.5},
        ]
    ),
    *(
        OptimizerCase("Adagrad", options)
        for options in vary(
            lr=[0.1],
            lr_decay=[0.0, 0.1],
            weight_decay=[0.0, 0.2],
            initial_accumulator_value=[0.0, 0.5],
            eps=[1e-10, 0.1],
        )
    ),
]
