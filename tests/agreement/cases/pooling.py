"""Pooling over windows, and to given sizes."""

import numpy as np

from tests.agreement.case import FunctionCase, LayerCase, exactly, floats, vary

SIZES = (7, 9, 6)
CEIL = {"stride": 2, "padding": 1, "ceil_mode": True}

CASES = [
    *(
        LayerCase(f"MaxPool{axes}d", {"kernel_size": (3, 2, 3)[:axes], **options}, [floats(*lead, 3, *SIZES[:axes])])
        for axes in (1, 2, 3)
        for lead, options in [
            ((), {}),
            *(((2,), options) for options in vary(stride=[None, 1, 2], padding=[0, 1], dilation=[1, 2])),
            ((2,), CEIL),
            ((2,), {**CEIL, "return_indices": True}),
        ]
    ),
    *(
        LayerCase(f"AvgPool{axes}d", {"kernel_size": (3, 2, 3)[:axes], **options}, [floats(*lead, 3, *SIZES[:axes])])
        for axes in (1, 2, 3)
        for lead, options in [
            ((), {}),
            *(((2,), options) for options in vary(stride=[None, 1, 2], padding=[0, 1])),
            ((2,), CEIL),
            ((2,), {**CEIL, "count_include_pad": False}),
            *(((2,), {**CEIL, "divisor_override": 5}) for _ in range(axes > 1)),
        ]
    ),
    *(
        LayerCase(
            f"LPPool{axes}d",
            {"norm_type": power, "kernel_size": 2, **options},
            [floats(2, 3, *SIZES[:axes], low=0.1, high=2.0)],
        )
        for axes in (1, 2, 3)
        for power, options in [(2, {}), (3, {"stride": 1}), (1.5, {"ceil_mode": True})]
    ),
    *(
        LayerCase(f"Adaptive{kind}Pool{axes}d", {"output_size": size}, [floats(*lead, 3, *SIZES[:axes])])
        for axes in (1, 2, 3)
        for kind in ("Avg", "Max")
        for lead, size in [
            ((), 2),
            *(((2,), size) for size in (1, 4, 10)),
            *(((2,), (None, 3, 5)[:axes]) for _ in range(axes > 1)),
        ]
    ),
    *(
        LayerCase(f"AdaptiveMaxPool{axes}d", {"output_size": 4, "return_indices": True}, [floats(2, 3, *SIZES[:axes])])
        for axes in (1, 2, 3)
    ),
    *(
        FunctionCase(f"nn.functional.{name}{axes}d", options, [floats(2, 3, *SIZES[:axes], low=0.1, high=2.0)])
        for axes in (1, 2, 3)
        for name, options in [
            ("max_pool", {"kernel_size": 3, "stride": 2, "return_indices": True}),
            ("avg_pool", {"kernel_size": 3, "stride": 2, "count_include_pad": False}),
            ("lp_pool", {"norm_type": 2, "kernel_size": 3, "stride": 2}),
            ("adaptive_avg_pool", {"output_size": 5}),
            ("adaptive_max_pool", {"output_size": 5}),
        ]
    ),
    *(
        LayerCase(
            f"MaxUnpool{axes}d",
            {"kernel_size": 2, **options},
            [floats(2, *(1,) * (axes - 1), 3), exactly(indices)],
            keywords=keywords,
        )
        for axes in (1, 2, 3)
        for indices in [np.reshape([1, 2, 5, 0, 3, 4], (2, *(1,) * (axes - 1), 3)).tolist()]
        for options, keywords in [({}, {}), ({}, {"output_size": (*(2,) * (axes - 1), 7)}), ({"stride": 3}, {})]
    ),
    *(
        FunctionCase(
            f"nn.functional.max_unpool{axes}d",
            {"kernel_size": (*(1,) * (axes - 1), 2)},
            [floats(1, *(1,) * (axes - 1), 3), exactly(np.reshape([1, 2, 5], (1, *(1,) * (axes - 1), 3)).tolist())],
        )
        for axes in (1, 2, 3)
    ),
]
