"""Names and tags: what users call the things that they create, to find them again."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, field_validator

from gapcast.contract.base import FieldError

MOST_TAGS = 16
"""of one thing: a sweep, a dataset, a purpose and a dozen more; a list still shows them on one line"""

TAG_PATTERN = r"^[a-z0-9._-]{1,64}$"

Tag = Annotated[str, Field(pattern=TAG_PATTERN)]

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Labelled(BaseModel):
    """Something with a name and tags that its user chose; neither changes what it is, and names need not differ."""

    name: Name | None = Field(None, description="yours, on one line; several things may have the same")
    tags: list[Tag] = Field(
        default_factory=list,
        max_length=MOST_TAGS,
        json_schema_extra={"uniqueItems": True},
        description="yours, to list by: lower-case letters, digits, `.`, `_` and `-`, each tag once",
    )

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str | None) -> str | None:
        if name is not None and not name.isprintable():
            raise ValueError("expected one line of printable characters")
        return name

    @field_validator("tags")
    @classmethod
    def _each_once(cls, tags: list[str]) -> list[str]:
        for index, tag in enumerate(tags):
            if tag in tags[:index]:
                raise FieldError(str(index), "expected each tag once", tag)
        return tags
