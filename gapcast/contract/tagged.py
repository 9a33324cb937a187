"""Unions whose classes differ by a tag, a field such as `kind`: their faults name the fields that were sent.

Pydantic writes the tag into the place of a fault (`context.hints.options.level`), and reports a wrong tag at the union.
"""

from typing import Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError


def _named_as_sent(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401
    try:
        return validate(value)
    except ValidationError as error:
        rows = [_fault(row) for row in error.errors(include_url=False)]
        raise ValidationError.from_exception_data(error.title, rows) from None


def _fault(row: ErrorDetails) -> InitErrorDetails:
    place, value, context = row["loc"], row["input"], row.get("ctx", {})
    if place:
        place = place[1:]  # its first part is the tag
    elif "discriminator" in context:
        tag = context["discriminator"].strip("'")
        place = (tag,)
        if row["type"] == "union_tag_invalid":
            value = value[tag] if isinstance(value, dict) else getattr(value, tag)
    kept = PydanticCustomError(row["type"], row["msg"], context)
    return InitErrorDetails(type=kept, loc=place, input=value)


NAMED_AS_SENT = WrapValidator(_named_as_sent)
"""Annotates a union after its `Field(discriminator=...)`."""
