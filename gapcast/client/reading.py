"""Reading what a server answers into the contract's classes."""

from typing import Any, TypeVar

from pydantic import BaseModel

Kind = TypeVar("Kind", bound=BaseModel)


def read(kind: type[Kind], answer: Any) -> Kind:  # noqa: ANN401
    """Return an answer as an object of this class; fields that a newer server adds are left out, at any depth.

    Answers embed parts of requests, which refuse unknown fields where they are sent.
    """
    return kind.model_validate(answer, extra="ignore")
