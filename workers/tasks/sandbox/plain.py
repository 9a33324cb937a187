"""Plain Python values as JSON: what may cross a sandbox's border, in either direction.

Numbers, texts, bytes, lists, tuples, sets, dictionaries and None keep their type; a subclass becomes its plain base,
so that an object which calls itself equal to everything leaves that habit behind. Anything else stays where it is and
goes as a number that stands for it. Standard library only: it runs on both sides.
"""

import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

SMALL = 1 << 63
"""from here on an integer travels in hexadecimal: Python refuses to read very long decimal ones"""
DECIMAL_DIGITS = 4000
"""digits that `int` reads under Python's default limit of 4300"""


def encode(value: Any, keep: Callable[[Any], int]) -> Any:  # noqa: ANN401
    """The value as JSON; `keep` gives the number of an object that is not plain, or raises."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        whole = int(value)
        return whole if -SMALL < whole < SMALL else {"int": hex(whole)}
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else {"float": repr(number)}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, complex):
        return {"complex": [repr(value.real), repr(value.imag)]}
    if isinstance(value, bytes | bytearray):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, dict):
        return {"dict": [[encode(key, keep), encode(item, keep)] for key, item in value.items()]}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            items = [encode(item, keep) for item in value]
            return items if kind is list else {kind.__name__: items}
    return {"object": keep(value)}


def decode(data: Any, make: Callable[[int], Any]) -> Any:  # noqa: ANN401
    """The value of such JSON; `make` gives what stands for a numbered object, or raises."""
    if isinstance(data, list):
        return [decode(item, make) for item in data]
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    match kind:
        case "int":
            return int(content, 16)
        case "float":
            return float(content)
        case "complex":
            return complex(*map(float, content))
        case "bytes":
            return bytes.fromhex(content)
        case "dict":
            return {decode(key, make): decode(item, make) for key, item in content}
        case "tuple":
            return tuple(decode(item, make) for item in content)
        case "set":
            return {decode(item, make) for item in content}
        case "frozenset":
            return frozenset(decode(item, make) for item in content)
        case "object":
            return make(content)
    raise ValueError(f"no plain value: {kind}")


def read_json(text: str | bytes) -> Any:  # noqa: ANN401
    """JSON in which a very long integer becomes a decimal number, equal to its like and read in no time."""
    return json.loads(text, parse_int=lambda digits: (int if len(digits) < DECIMAL_DIGITS else Decimal)(digits))


def json_form(value: Any) -> Any:  # noqa: ANN401
    """The value as JSON would have it: a tuple is a list, a key is a text, an object of any other kind an error."""
    return _json_form(encode(value, _no_json))


def _json_form(data: Any) -> Any:  # noqa: ANN401
    if isinstance(data, list):
        return [_json_form(item) for item in data]
    if not isinstance(data, dict):
        return data
    ((kind, content),) = data.items()
    match kind:
        case "tuple":
            return [_json_form(item) for item in content]
        case "dict":
            return {
                key if isinstance(key, str) else json.dumps(_json_form(key)): _json_form(item) for key, item in content
            }
        case "int" | "float":
            return decode(data, _no_json)
    raise TypeError(f"a {kind} is not JSON")


def _no_json(_: Any) -> Any:  # noqa: ANN401
    raise TypeError("an object of the program's own is not JSON")
