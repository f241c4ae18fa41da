"""Ten steps of every optimizer."""

from tests.agreement.case import OptimizerCase, vary

CASES = [
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
