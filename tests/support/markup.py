"""Markup as a test reads it: the texts of elements by tag, id or slot."""

import re
from html.parser import HTMLParser

VOID = {"area", "br", "hr", "img", "input", "link", "meta", "source"}


class Elements(HTMLParser):
    """Collects start tags with their attributes, texts by element, and the text inside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline = ""
        self._texts: list[str] = []
        self._open: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._texts.append("")
        if tag not in VOID:
            self._open.append(len(self.tags) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._texts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self.tags[self._open.pop()][0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self._texts[place] += data
        if self._open and self.tags[self._open[-1]][0] in {"script", "style"}:
            self.inline += data.strip()

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def links(self, text: str) -> list[str]:
        """The addresses that a text leads to."""
        pairs = zip(self.tags, self._texts, strict=True)
        return [attributes["href"] or "" for (tag, attributes), own in pairs if tag == "a" and own.strip() == text]

    def _place(self, selector: str) -> int:
        """Of the first element of a tag, `#id` or `[data-slot=name]`."""
        slot = re.fullmatch(r"\[(.+)=(.+)\]", selector)
        for place, (tag, attributes) in enumerate(self.tags):
            if slot is not None:
                found = attributes.get(slot[1]) == slot[2]
            else:
                found = attributes.get("id") == selector[1:] if selector.startswith("#") else tag == selector
            if found:
                return place
        raise LookupError(selector)

    def has(self, selector: str) -> bool:
        try:
            self._place(selector)
        except LookupError:
            return False
        return True

    def text_of(self, selector: str) -> str:
        return " ".join(self._texts[self._place(selector)].split())

    def whole_text_of(self, selector: str) -> str:
        """The text with its spaces and lines as they are."""
        return self._texts[self._place(selector)]

    def attributes_of(self, selector: str) -> dict[str, str | None]:
        return self.tags[self._place(selector)][1]

    def facts(self) -> dict[str, str]:
        """Each `dd` by its `dt`."""
        names, texts = (
            [" ".join(text.split()) for (name, _), text in zip(self.tags, self._texts, strict=True) if name == tag]
            for tag in ("dt", "dd")
        )
        return dict(zip(names, texts, strict=True))

    def rows(self, selector: str) -> list[list[str]]:
        """The texts of a table's cells; the table is the only one, or the one of this id."""
        rows: list[list[str]] = []
        for (tag, _), text in list(zip(self.tags, self._texts, strict=True))[self._place(selector) + 1 :]:
            if tag == "table":
                break
            if tag == "tr":
                rows.append([])
            elif tag == "td":
                rows[-1].append(" ".join(text.split()))
        return [row for row in rows if row]
