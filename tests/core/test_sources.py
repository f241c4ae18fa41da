"""The user's line of code."""

from __future__ import annotations

import inspect
import subprocess
import sys

from chainrule.sources import Source, user_line
from chainrule.state import source_line
from chainrule.tensor import tensor

HERE = __file__


def test_a_source_prints_its_file_and_line_and_shows_the_code():
    source = Source(HERE, 1)
    assert str(source) == "test_sources.py:1"
    assert source.text == '"""The user\'s line of code."""'
    assert str(source._replace(backward=True)) == "test_sources.py:1, backward"


def test_a_source_without_a_file_has_no_text():
    assert Source("<stdin>", 3).text == ""


def test_the_users_line_is_that_outside_of_the_package():
    line = user_line()
    assert (line.file, line.line) == (HERE, inspect.currentframe().f_lineno - 1)
    x = tensor([1.0, 2.0])
    assert (x.source.file, x.source.text) == (HERE, "x = tensor([1.0, 2.0])")
    y = x + x
    assert y.source.text == "y = x + x"


def test_a_tensor_that_this_package_makes_when_it_is_imported_comes_from_the_line_that_imports_it():
    code = "import chainrule.random as r; print(r.default_generator().state.source.file)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "<string>"


def test_nodes_can_be_made_in_the_name_of_another_line():
    with source_line(Source("model.py", 7)):
        y = tensor([1.0]) + 1.0
    assert str(y.source) == "model.py:7"


def test_code_of_the_package_run_on_its_own_is_its_own_user():
    """The outermost line is taken if there is none outside: `python -m`, or a thread that starts inside."""
    code = "import chainrule.sources as s; exec(compile('line = s.user_line()', s.__file__, 'exec')); print(line.line)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "1"
