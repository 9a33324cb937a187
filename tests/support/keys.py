"""Compares an answer's keys with the contract's fields, as a client that ignores unknown ones hides a forgotten one."""

from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def unknown_keys(kind: Any, answer: Any, at: str = "") -> list[str]:
    """Return the paths of all keys in an answer's JSON that are no fields of its class, at any depth.

    Free JSON (`dict[str, Any]`) is not looked into. Of a union, the member that knows the most keys counts.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return unknown_keys(arguments[0], answer, at)
    if origin in {Union, UnionType}:
        members = [one for one in arguments if one is not NoneType]
        return min((unknown_keys(one, answer, at) for one in members), key=len) if answer is not None else []
    if isinstance(answer, list):
        item = arguments[0] if origin in {list, tuple} else Any
        return [path for index, one in enumerate(answer) for path in unknown_keys(item, one, f"{at}[{index}]")]
    if not isinstance(answer, dict):
        return []
    if origin is dict:
        return [path for key, one in answer.items() for path in unknown_keys(arguments[1], one, f"{at}.{key}")]
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return []
    fields = {field.alias or name: field.annotation for name, field in kind.model_fields.items()}
    paths = []
    for key, one in answer.items():
        paths += unknown_keys(fields[key], one, f"{at}.{key}") if key in fields else [f"{at}.{key}"]
    return paths
