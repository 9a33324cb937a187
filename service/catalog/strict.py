"""The base of everything that a client sends."""

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator


class Strict(BaseModel):
    """A body that refuses fields it does not know, infinities and NaN."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=4096)

    @field_validator("*")
    @classmethod
    def _no_nul(cls, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, str) and "\x00" in value:
            raise ValueError("text must not hold the NUL character, which databases cannot store")
        return value
