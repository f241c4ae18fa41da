"""Operations that only tests have. They are in no registry."""

from __future__ import annotations

import numpy as np
import pytest

from chainrule.op import JointRule, Op
from chainrule.ops.join import concat
from chainrule.ops.rules import same_type
from chainrule.samples import Sample, floats
from chainrule.types import FLOATS


def _halves_back(cts, out, x):
    whole = [ct if ct is not None else x[: x.size // 2] * 0.0 for ct in cts]
    return [concat(whole)]


@pytest.fixture
def halves():
    """An operation with two outputs: the first and the second half of a vector."""
    return Op(
        "halves",
        takes=(FLOATS,),
        infer=lambda x: (x.with_shape((x.size // 2,)),) * 2,
        numpy=lambda x: (x[: x.size // 2].copy(), x[x.size // 2 :].copy()),
        vjp=JointRule(_halves_back),
        samples=lambda draw: Sample((draw.floats((0 if draw.sizes == "empty" else 4,)),)),
    )


@pytest.fixture
def counted():
    """The sine, and a list to which each call of its derivative rule adds one entry."""
    calls = []

    def rule(ct, out, x):
        calls.append(out)
        return ct * x.cos()

    return Op("counted", (FLOATS,), same_type, np.sin, (rule,), floats()), calls
