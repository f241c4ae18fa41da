"""What becomes of a query that does not end well."""

from __future__ import annotations

from typing import Any

import pytest

from chainrule.data.engine import Engine


def raising(error: Exception) -> Any:
    def fetch(cursor: Any) -> Any:
        raise error

    return fetch


def test_a_query_that_ctrl_c_ends_is_an_interrupt() -> None:
    with Engine() as engine, pytest.raises(KeyboardInterrupt):
        engine._ask("select ?", "x", raising(RuntimeError("Query interrupted")))


def test_any_other_failure_of_the_program_is_not_hidden() -> None:
    with Engine() as engine, pytest.raises(RuntimeError, match="a defect"):
        engine._ask("select ?", "x", raising(RuntimeError("a defect")))
