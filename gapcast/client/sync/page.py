# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.
"""One page of a list, which goes on to the following ones when it is iterated."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic

from gapcast.client.reading import Kind
from gapcast.client.tables import dataframe

if TYPE_CHECKING:
    import pandas

    from gapcast.client.sync.connection import Connection


class Page(Generic[Kind]):
    """One page of a list; iterating over it reads this page and, as they are asked for, all that follow.

    Attributes:
        data: the items of this page alone.
        has_more: True if other pages follow.
        last_id: the id of the last item here, after which the next page begins; None: there is none.
    """

    def __init__(
        self,
        connection: "Connection",
        kind: type[Kind],
        path: str,
        query: Mapping[str, Any],
        data: list[Kind],
        last_id: str | None,
        *,
        has_more: bool,
    ) -> None:
        self.data, self.last_id, self.has_more = data, last_id, has_more
        self._connection, self._kind, self._path, self._query = connection, kind, path, query

    def __repr__(self) -> str:
        more = "and more on the next page" if self.has_more else "the last page"
        return f"<page of {len(self.data)} x {self._kind.__name__}, {more}>"

    def next_page(self) -> "Page[Kind] | None":
        """Read the page after this one; None: this is the last.

        Raises:
            GapcastError: the server refused, or no answer came.
        """
        if not self.has_more:
            return None
        return self._connection.page(self._kind, self._path, {**self._query, "after": self.last_id})

    def __iter__(self) -> Iterator[Kind]:
        page: Page[Kind] | None = self
        while page is not None:
            yield from page.data
            page = page.next_page()

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return the items of this page and all following ones as a table, a row each: `gap.value` is a column.

        Raises:
            GapcastError: the server refused, or no answer came.
            ImportError: pandas is not installed.
        """
        return dataframe(list(self))
