"""The rates of 25 steps and more of every schedule."""

from tests.agreement.case import Arguments, Formula, Schedule, ScheduleCase, vary

GROUPS = ({"lr": 0.1, "momentum": 0.9}, {"lr": 0.3, "momentum": 0.5})
DECAY, HALVING = Formula("epoch", "0.95 ** epoch"), Formula("epoch", "1 / (1 + epoch)")
FIGURES = (3.0, 2.0, 1.9, 1.95, 1.95, 1.9, 1.88, 1.9, 1.9, 1.7, 1.7, 1.7, 1.7, 1.71, 1.8, 1.8, 1.6, 1.6, 1.6, 1.6) * 2

ALONE: dict[str, list[Arguments]] = {
    "StepLR": vary(step_size=[7, 1], gamma=[0.1, 0.5]),
    "MultiStepLR": [{"milestones": [3, 10, 10, 40]}, {"milestones": [0, 5], "gamma": 0.3}],
    "ConstantLR": vary(factor=[1 / 3, 0.1], total_iters=[5, 30]),
    "LinearLR": vary(start_factor=[1 / 3, 0.01], end_factor=[1.0, 0.5, 0.0], total_iters=[5, 50]),
    "ExponentialLR": [{"gamma": 0.95}],
    "PolynomialLR": vary(total_iters=[5, 80, 300], power=[1.0, 2.0, 0.5]),
    "CosineAnnealingLR": vary(T_max=[17, 200, 1], eta_min=[0.0, 0.01]),
    "CosineAnnealingWarmRestarts": vary(T_0=[10, 1], T_mult=[1, 2, 3], eta_min=[0.0, 0.01]),
    "LambdaLR": [{"lr_lambda": DECAY}, {"lr_lambda": [DECAY, HALVING]}],
    "MultiplicativeLR": [{"lr_lambda": Formula("epoch", "1 - 1 / (epoch + 3)")}],
    "OneCycleLR": [
        *vary(
            max_lr=[0.5],
            total_steps=[121],
            pct_start=[0.3, 0.1],
            anneal_strategy=["cos", "linear"],
            three_phase=[False, True],
            cycle_momentum=[True, False],
            div_factor=[25.0, 4.0],
            final_div_factor=[1e4, 10.0],
        ),
        {"max_lr": [0.5, 0.2], "epochs": 13, "steps_per_epoch": 10},
    ],
    "CyclicLR": [
        *vary(
            base_lr=[0.01],
            max_lr=[0.2],
            step_size_up=[10, 7],
            step_size_down=[13],
            mode=["triangular", "triangular2", "exp_range"],
            gamma=[0.99],
        ),
        {"base_lr": [0.01, 0.02], "max_lr": [0.2, 0.1], "step_size_up": 4, "cycle_momentum": False},
        {"base_lr": 0.01, "max_lr": 0.2, "scale_fn": Formula("x", "1 / (1 + 0.1 * x)"), "scale_mode": "iterations"},
        {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 5, "scale_fn": Formula("x", "0.9 ** x")},
    ],
}


def constant(**arguments: float) -> Schedule:
    return Schedule("ConstantLR", arguments)


def linear(**arguments: float) -> Schedule:
    return Schedule("LinearLR", arguments)


def cosine(**arguments: float) -> Schedule:
    return Schedule("CosineAnnealingLR", arguments)


EXPONENTIAL = Schedule("ExponentialLR", {"gamma": 0.9})
CHAINED = [
    [constant(factor=0.1, total_iters=20), EXPONENTIAL],
    [linear(start_factor=0.1, total_iters=20), cosine(T_max=60, eta_min=0.001), Schedule("StepLR", {"step_size": 30})],
    [cosine(T_max=25), Schedule("MultiStepLR", {"milestones": [50, 70]})],
    [
        Schedule("SequentialLR", {"schedulers": [constant(factor=0.1), cosine(T_max=50)], "milestones": [5]}),
        EXPONENTIAL,
    ],
]
SEQUENCES = [
    ([constant(factor=0.1, total_iters=20), EXPONENTIAL], [20]),
    ([linear(start_factor=0.01, total_iters=10), cosine(T_max=60, eta_min=0.001), EXPONENTIAL], [10, 70]),
    ([linear(), Schedule("CosineAnnealingWarmRestarts", {"T_0": 7, "T_mult": 2})], [10]),
    (
        [
            Schedule("LambdaLR", {"lr_lambda": HALVING}),
            Schedule("StepLR", {"step_size": 10}),
            Schedule("PolynomialLR", {"total_iters": 50, "power": 0.5}),
        ],
        [15, 50],
    ),
    ([EXPONENTIAL, Schedule("OneCycleLR", {"max_lr": 0.1, "total_steps": 120})], [30]),
    ([Schedule("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 10}), constant(factor=0.5)], [33]),
]

CASES = [
    *(
        ScheduleCase(name, arguments, groups=GROUPS, steps=120)
        for name, alternatives in ALONE.items()
        for arguments in alternatives
    ),
    *(ScheduleCase("ChainedScheduler", {"schedulers": parts}, groups=GROUPS, steps=120) for parts in CHAINED),
    *(
        ScheduleCase("SequentialLR", {"schedulers": parts, "milestones": milestones}, groups=GROUPS, steps=120)
        for parts, milestones in SEQUENCES
    ),
    *(
        ScheduleCase("ReduceLROnPlateau", arguments, groups=GROUPS, metrics=FIGURES, steps=len(FIGURES))
        for arguments in [
            {},
            *vary(
                factor=[0.5],
                patience=[2, 0],
                mode=["min", "max"],
                threshold=[1e-4, 0.05],
                threshold_mode=["rel", "abs"],
                cooldown=[0, 3],
                min_lr=[0.0, [0.01, 0.1]],
                eps=[1e-8, 0.02],
            ),
        ]
    ),
]
