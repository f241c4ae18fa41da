"""Operations, one family a file. Each is one declaration and one public function with its docstring."""

from chainrule.ops.arithmetic import add, divide, multiply, negative, subtract
from chainrule.ops.cast import cast, stop_gradient
from chainrule.ops.contract import matmul
from chainrule.ops.layout import broadcast_to, matrix_transpose, permute_dims, reshape, sum_to
from chainrule.ops.reduce import mean, sum
from chainrule.ops.transcendental import exp, log, tanh

__all__ = [
    "add", "broadcast_to", "cast", "divide", "exp", "log", "matmul", "matrix_transpose", "mean", "multiply", "negative",
    "permute_dims", "reshape", "stop_gradient", "subtract", "sum", "sum_to", "tanh",
]
