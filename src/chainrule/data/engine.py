"""The one place that talks to DuckDB, which is loaded when the first file is read and not before."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

if TYPE_CHECKING:
    import duckdb

Result = TypeVar("Result")


class EngineError(Exception):
    """DuckDB refused a query; the message is the first line of what it said."""


class Engine:
    """A private DuckDB database in memory: `with Engine() as engine: engine.arrays("select 1 as one")`.

    It fetches no extensions, so that reading a file never reaches for the network.
    """

    def __init__(self) -> None:
        # By name, and not by an import at the top: `import chainrule.data` stays quick for those who bring arrays.
        self._duckdb: Any = importlib.import_module("duckdb")
        settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        self._connection: duckdb.DuckDBPyConnection = self._duckdb.connect(config=settings)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def columns(self, source: str, path: str) -> list[tuple[str, str]]:
        """Name and SQL type of each column of a table function whose first argument, "?", is the path."""
        found = self._ask(f"describe select * from {source}", path, lambda cursor: cursor.fetchall())
        return [(str(row[0]), str(row[1])) for row in found]

    def row(self, expressions: Iterable[str], source: str, path: str) -> list[Any]:
        """One row of aggregates."""
        query = f"select {', '.join(expressions)} from {source}"
        return list(self._ask(query, path, lambda cursor: cursor.fetchall())[0])

    def counts(self, tests: Sequence[str], columns: Iterable[str], source: str, path: str) -> list[list[int]]:
        """The results of all tests, aggregates with "{}" for the column, a list for each column."""
        expressions = [test.format(column) for column in columns for test in tests]
        results = [int(n or 0) for n in self.row(expressions, source, path)] if expressions else []
        return [results[i : i + len(tests)] for i in range(0, len(results), len(tests))]

    def arrays(self, expressions: Iterable[str], source: str, path: str) -> list[NDArray[Any]]:
        """One array an expression; a masked array where values are null."""
        named = ", ".join(f"{expression} as v{i}" for i, expression in enumerate(expressions))

        def fetch(cursor: duckdb.DuckDBPyConnection) -> dict[str, NDArray[Any]]:
            return cursor.fetchnumpy()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

        return list(self._ask(f"select {named} from {source}", path, fetch).values())

    def _ask(self, query: str, path: str, fetch: Callable[[duckdb.DuckDBPyConnection], Result]) -> Result:
        try:
            return fetch(self._connection.execute(query, [literal_path(path)]))
        except (self._duckdb.Error, UnicodeError) as error:
            message = str(error).strip().splitlines() or [type(error).__name__]
            raise EngineError(message[0].partition("Error: ")[2] or message[0]) from None
        except RuntimeError as error:
            if "interrupted" in str(error):  # which is how a query ends that Ctrl-C was pressed in
                raise KeyboardInterrupt from None
            raise


def literal(text: str) -> str:
    """A text as an SQL literal.

    >>> print(literal("it's"))
    'it''s'
    """
    return "'" + text.replace("'", "''") + "'"


def literal_path(path: str) -> str:
    """A path that DuckDB reads as it stands, with what would match several files taken literally.

    >>> literal_path("data[1]*.csv")
    'data[[]1][*].csv'
    """
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)
