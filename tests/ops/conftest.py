"""What the tests of several families of operations share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chainrule.gradients import gradients
from chainrule.tensor import Tensor, tensor


@pytest.fixture(scope="session")
def assert_transposed() -> Callable[..., None]:
    """A check that the gradient of a linear function is its transpose: <ct, f(v)> = <f'(ct), v>, whatever ct and v."""

    def check(function: Callable[[Tensor], Tensor], x: np.ndarray[Any, Any]) -> None:
        rng = np.random.default_rng(0)
        variable = tensor(x, requires_grad=True)
        out = function(variable)
        ct, v = rng.standard_normal(out.shape), rng.standard_normal(x.shape)
        back = gradients([out], [tensor(ct)], [variable])[0]
        assert back is not None and back.type == variable.type
        np.testing.assert_allclose(np.sum(back.numpy() * v), np.sum(ct * function(tensor(v)).numpy()), atol=1e-12)

    return check
