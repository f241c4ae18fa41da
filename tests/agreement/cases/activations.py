"""Activations as layers and as functions."""

from tests.agreement.case import FunctionCase, LayerCase, floats

OPTIONS = {
    "ReLU": [{}],
    "LeakyReLU": [{}, {"negative_slope": 0.2}],
    "ELU": [{}, {"alpha": 0.7}],
    "CELU": [{}, {"alpha": 0.5}],
    "SELU": [{}],
    "PReLU": [{}, {"num_parameters": 3, "init": 0.1}],
    "GELU": [{}, {"approximate": "tanh"}],
    "SiLU": [{}],
    "Mish": [{}],
    "Softplus": [{}, {"beta": 2.5}],
    "Tanh": [{}],
    "Sigmoid": [{}],
    "Hardtanh": [{}, {"min_val": -0.5, "max_val": 0.8}],
    "ReLU6": [{}],
    "Hardswish": [{}],
    "Threshold": [{"threshold": 0.3, "value": -2.0}],
    "Hardshrink": [{}, {"lambd": 1.5}],
    "Softshrink": [{}, {"lambd": 1.5}],
    "LogSigmoid": [{}],
    "Softsign": [{}],
    "Tanhshrink": [{}],
    "GLU": [{}, {"dim": 0}],
    "Softmin": [{"dim": -1}, {"dim": 1}],
    "Softmax": [{"dim": -1}, {"dim": 1}, {"dim": 0}],
    "LogSoftmax": [{"dim": -1}, {"dim": 1}, {"dim": 0}],
}
ALONG_AN_AXIS = [{"axis": -1}, {"axis": 1}]

CASES = [
    *(
        LayerCase(name, arguments, [floats(2, 3, 4, low=-4.0, high=4.0)])
        for name, alternatives in OPTIONS.items()
        for arguments in alternatives
    ),
    *(
        FunctionCase(
            f"nn.functional.{name}",
            arguments,
            [floats(2, 3, 4)],
            peer_arguments={"axis": None, "dim": arguments["axis"]},
        )
        for name in ("softmax", "softmin", "log_softmax")
        for arguments in ALONG_AN_AXIS
    ),
    *(
        FunctionCase(f"nn.functional.{name}", arguments, [floats(3, 4, low=-3.0, high=3.0)])
        for name, arguments in [
            ("leaky_relu", {"negative_slope": 0.3}),
            ("elu", {"alpha": 1.5}),
            ("selu", {}),
            ("gelu", {"approximate": "none"}),
            ("gelu", {"approximate": "tanh"}),
            ("silu", {}),
            ("mish", {}),
            ("hardtanh", {"min_val": -2.0, "max_val": 0.5}),
            ("relu6", {}),
            ("hardswish", {}),
            ("threshold", {"threshold": 0.3, "value": -2.0}),
            ("hardshrink", {"lambd": 1.5}),
            ("softshrink", {"lambd": 1.5}),
            ("softsign", {}),
            ("logsigmoid", {}),
            ("tanhshrink", {}),
            ("celu", {"alpha": 0.5}),
        ]
    ),
    FunctionCase("nn.functional.prelu", {}, [floats(2, 3, 4), floats(3)]),
    *(
        FunctionCase(
            "nn.functional.glu", arguments, [floats(4, 6)], peer_arguments={"axis": None, "dim": arguments["axis"]}
        )
        for arguments in ALONG_AN_AXIS
    ),
]
