"""The exception tree."""

from __future__ import annotations

import pytest

from chainrule import errors

BUILT_IN = {
    "ShapeError": ValueError,
    "DtypeError": TypeError,
    "IndexingError": IndexError,
    "GradientError": RuntimeError,
    "TraceError": RuntimeError,
    "DefinitionError": TypeError,
    "StateError": ValueError,
    "DataError": ValueError,
    "RunError": ValueError,
}


@pytest.mark.parametrize(("name", "built_in"), BUILT_IN.items())
def test_an_error_is_caught_as_ours_and_as_the_built_in(name, built_in):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.ChainruleError)
    assert issubclass(kind, built_in)


def test_the_module_docstring_draws_every_error():
    defined = {n for n, v in vars(errors).items() if isinstance(v, type) and v is not errors.ChainruleError}
    assert defined == set(BUILT_IN)
    for name, built_in in BUILT_IN.items():
        line = next(line for line in errors.__doc__.splitlines() if f" {name} " in line)
        assert f"({built_in.__name__})" in line
