"""Every exception that chainrule raises on purpose.

    ChainruleError
    ├── ShapeError       (ValueError)    sizes that do not fit together
    ├── DtypeError       (TypeError)     a data type that an operation does not take
    ├── IndexingError    (IndexError)    an index outside its axis, or of a wrong kind
    ├── GradientError    (RuntimeError)  a derivative that cannot be had
    ├── TraceError       (RuntimeError)  Python asks for a value while only types are known
    ├── DefinitionError  (TypeError)     an operation, module or option declared wrongly
    ├── StateError       (ValueError)    a state that does not fit the module it is loaded into
    ├── DataError        (ValueError)    a table or file that cannot be learned from
    └── RunError         (ValueError)    a run folder that is missing, damaged or of a newer version

Each derives from `ChainruleError` and from the built-in that a person would catch, so that both habits work.
"""

from __future__ import annotations


class ChainruleError(Exception):
    """Base of all errors of this library."""


class ShapeError(ChainruleError, ValueError):
    """Sizes that do not fit together."""


class DtypeError(ChainruleError, TypeError):
    """A data type that an operation does not take."""


class IndexingError(ChainruleError, IndexError):
    """An index outside its axis, or of a wrong kind."""


class GradientError(ChainruleError, RuntimeError):
    """A derivative that cannot be had: no path, no scalar, or a graph that was freed."""


class TraceError(ChainruleError, RuntimeError):
    """Python asks for the value of a tensor of which only the type is known."""


class DefinitionError(ChainruleError, TypeError):
    """An operation, module or option that is declared wrongly."""


class StateError(ChainruleError, ValueError):
    """A state that does not fit the module it is loaded into."""


class DataError(ChainruleError, ValueError):
    """A table or file that cannot be learned from."""


class RunError(ChainruleError, ValueError):
    """A run folder that is missing, damaged or written by a newer version."""
