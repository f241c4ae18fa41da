"""Elements added at the ends of the last axes."""

from tests.agreement.case import FunctionCase, LayerCase, floats

WIDTHS = (1, 2, 0, 3, 2, 1)

CASES = [
    *(
        LayerCase(f"{kind}Pad{axes}d", {"padding": padding, **options}, [floats(*lead, *(4, 5, 6)[:axes])])
        for kind, options in [
            ("Zero", {}),
            ("Constant", {"value": 1.5}),
            ("Reflection", {}),
            ("Replication", {}),
            ("Circular", {}),
        ]
        for axes in (1, 2, 3)
        for lead, padding in [((2,), 2), ((2, 3), WIDTHS[: 2 * axes])]
    ),
    *(
        FunctionCase("nn.functional.pad", {"pad": (1, -1, -2, 3), "mode": mode}, [floats(2, 3, 5, 4)])
        for mode in ("constant", "reflect", "replicate", "circular")
    ),
    FunctionCase("nn.functional.pad", {"pad": (1, 2), "value": 0.5}, [floats(3, 4)]),
]
