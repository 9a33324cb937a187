"""Plain Python values as JSON: what may cross a sandbox's border, in either direction.

Numbers, texts, bytes, containers, dates, fractions, built-in types and None keep their type and their value, so that
the side that reads them compares them by its own rules. Anything else is `other`, which each side says for itself: a
number that stands for an object. Standard library only: it runs on both sides.
"""

import builtins
import datetime
import json
import math
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

SMALL = 1 << 63
"""from here on an integer travels in hexadecimal: Python refuses to read very long decimal ones"""
DECIMAL_DIGITS = 4000
"""digits that `int` reads under Python's default limit of 4300"""

BASES = (int, float, complex, str, bytes, tuple, frozenset)
"""types whose values never change: a value of a subclass has the value of the base, whatever it says of itself"""
CHANGING = (list, dict, set, bytearray, deque)
"""types whose values change"""

Time = datetime.time | datetime.datetime


def _clock(value: Time) -> tuple[Any, ...]:
    return value.hour, value.minute, value.second, value.microsecond, value.tzinfo


MADE: dict[str, tuple[type, Callable[[Any], tuple[Any, ...]]]] = {
    "Fraction": (Fraction, lambda value: (value.numerator, value.denominator)),
    "Decimal": (Decimal, lambda value: (str(value),)),
    "date": (datetime.date, lambda value: (value.year, value.month, value.day)),
    "time": (datetime.time, _clock),
    "datetime": (datetime.datetime, lambda value: (value.year, value.month, value.day, *_clock(value))),
    "timedelta": (datetime.timedelta, lambda value: (value.days, value.seconds, value.microseconds)),
    "timezone": (datetime.timezone, lambda value: (value.utcoffset(None),)),
    "range": (range, lambda value: (value.start, value.stop, value.step)),
    "slice": (slice, lambda value: (value.start, value.stop, value.step)),
    "deque": (deque, lambda value: (list(value), value.maxlen)),
    "bytearray": (bytearray, lambda value: (bytes(value),)),
    "array": (array, lambda value: (value.typecode, list(value))),
    "Counter": (Counter, lambda value: (dict(value),)),
    "OrderedDict": (OrderedDict, lambda value: (list(value.items()),)),
    "defaultdict": (defaultdict, lambda value: (value.default_factory, dict(value))),
}
"""how values of exactly these types are made again"""
NAMES = {kind: name for name, (kind, _) in MADE.items()}
TYPES = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and name[0] != "_" and kind is not type
} | {kind.__name__: kind for kind, _ in MADE.values()}
"""types that are called by their name: none of them does more than make a value"""
TYPE_NAMES = {kind: name for name, kind in TYPES.items()}

Other = Callable[[Any], Any]


def encode(value: Any, other: Other) -> Any:  # noqa: ANN401
    """The value as JSON; `other` makes it of an object that is not plain, or raises."""
    kind = type(value)
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return value if -SMALL < value < SMALL else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is list:
        return [encode(item, other) for item in value]
    if kind is dict:
        return {"dict": [[encode(key, other), encode(item, other)] for key, item in value.items()]}
    if kind in (tuple, set, frozenset):
        return {kind.__name__: [encode(item, other) for item in value]}
    if kind is complex:
        return {"complex": [repr(value.real), repr(value.imag)]}
    if kind is bytes:
        return {"bytes": value.hex()}
    if kind in NAMES:
        name = NAMES[kind]
        return {"made": [name, [encode(part, other) for part in MADE[name][1](value)]]}
    if isinstance(value, type) and value in TYPE_NAMES:
        return {"type": TYPE_NAMES[value]}
    return other(value)


def base(value: Any, kinds: tuple[type, ...] = (*BASES, *CHANGING)) -> Any:  # noqa: ANN401
    """The plain value that a subclass of a plain type has; None where it is none."""
    for kind in kinds:
        if isinstance(value, kind):
            return kind.__str__(value) if kind is str else kind(value)
    return None


def decode(data: Any, other: Callable[[str, Any], Any]) -> Any:  # noqa: ANN401
    """The value of such JSON; `other` gives what stands for what is not plain, or raises."""
    if isinstance(data, list):
        return [decode(item, other) for item in data]
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
            return {decode(key, other): decode(item, other) for key, item in content}
        case "tuple":
            return tuple(decode(item, other) for item in content)
        case "set":
            return {decode(item, other) for item in content}
        case "frozenset":
            return frozenset(decode(item, other) for item in content)
        case "made":
            name, parts = content
            return MADE[name][0](*(decode(part, other) for part in parts))
        case "type":
            return TYPES[content]
    return other(kind, content)


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
            return decode(data, _none)
        case "made" if content[0] in {"Counter", "defaultdict"}:
            return _json_form(content[1][-1])
        case "made" if content[0] == "OrderedDict":
            return _json_form({"dict": [pair["tuple"] for pair in content[1][0]]})
        case "object":
            raise TypeError("an object of the program's own is not JSON")
    raise TypeError(f"a {content[0] if kind == 'made' else kind} is not JSON")


def _no_json(value: Any) -> Any:  # noqa: ANN401
    plain = base(value)
    return {"object": None} if plain is None else encode(plain, _no_json)


def _none(kind: str, _: Any) -> Any:  # noqa: ANN401
    raise ValueError(f"no plain value: {kind}")
