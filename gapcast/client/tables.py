"""Answers as tables of pandas, which is loaded when a table is asked for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    import pandas


def dataframe(items: Sequence[BaseModel]) -> "pandas.DataFrame":
    """Return items as a table, a row each; a field of a field is a column such as `gap.value`.

    Raises:
        ImportError: pandas is not installed.
    """
    table: pandas.DataFrame = load_pandas().json_normalize([item.model_dump() for item in items])
    return table


def load_pandas() -> Any:  # noqa: ANN401
    """Return pandas.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ImportError("to_dataframe needs pandas, which is not installed. Run: pip install pandas") from error
    return pandas
