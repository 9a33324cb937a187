"""Unions whose classes differ by a tag, a field such as `kind`: their faults name the fields that were sent.

Pydantic writes the tag into the place of a fault (`context.hints.options.level`), and reports a wrong tag at the union.
"""

from typing import Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from gapcast.contract.nearest import nearest


def _named_as_sent(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401
    try:
        return validate(value)
    except ValidationError as error:
        rows = [_fault(row) for row in error.errors(include_url=False)]
        raise ValidationError.from_exception_data(error.title, rows) from None


def _fault(row: ErrorDetails) -> InitErrorDetails:
    place, message, value, context = row["loc"], row["msg"], row["input"], row.get("ctx", {})
    if place:
        place = place[1:]  # its first part is the tag
    elif "discriminator" in context:
        tag = context.pop("discriminator").strip("'")
        place = (tag,)
        if row["type"] == "union_tag_not_found":
            message = "Field required"
        else:
            value = value[tag] if isinstance(value, dict) else getattr(value, tag)
            message = _wrong_tag(value, context.pop("expected_tags"))
    return InitErrorDetails(type=PydanticCustomError(row["type"], message, context), loc=place, input=value)


def _wrong_tag(value: object, expected: str) -> str:
    """Name the tags that are known, which pydantic lists as "'a', 'b'", and the one that was probably meant."""
    near = nearest(value, [tag.strip("'") for tag in expected.split(", ")]) if isinstance(value, str) else None
    known = " or ".join(expected.rsplit(", ", 1))
    return f"Input should be {known}" + (f"; did you mean {near!r}?" if near is not None else "")


NAMED_AS_SENT = WrapValidator(_named_as_sent)
"""Annotates a union after its `Field(discriminator=...)`."""
