"""A figure of the law page: its plot, the table beside it and its data as CSV, all of the same rows."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.web.plots import Spec

Record = Mapping[str, Any]
"""A row as the CSV has it: names as in the API, accuracies as shares."""
MOST_ROWS = 500
"""of a table: the file has all of them"""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A column of a figure's table.

    Attributes:
        head: its head.
        text: writes its cell of a row.
        number: True where the cells are numbers, which stand to the right.
        link: makes the address that a cell leads to.
    """

    head: str
    text: Callable[[Record], str]
    number: bool = False
    link: Callable[[Record], str] | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A plot with its data.

    Attributes:
        cells: the columns of its table.
        rows: what it shows.
        spec: draws it; null: nothing can be drawn.
        nothing: why nothing can be drawn.
        said: sentences on what is drawn.
    """

    cells: Sequence[Cell]
    rows: Sequence[Record]
    spec: Spec | None
    nothing: str = ""
    said: Sequence[str] = ()

    @property
    def note(self) -> str:
        """What stands below the plot and above the table, a line a sentence."""
        return "\n".join([self.nothing] * (self.spec is None and bool(self.nothing)) + [*self.said])

    @property
    def csv(self) -> str:
        """The rows as a file; a text that a spreadsheet would run begins with an apostrophe."""
        out = io.StringIO(newline="")
        names = list(self.rows[0]) if self.rows else []
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        writer.writerows({name: harmless(value) for name, value in row.items()} for row in self.rows)
        return out.getvalue()


def harmless(value: Any) -> Any:  # noqa: ANN401
    """Return a cell of a CSV file that no spreadsheet runs."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
