"""JSON Schema's keywords that hold regular expressions, with a time limit.

The schema's author and the model together can make a pattern backtrack without end. `jsonschema` matches with `re`,
which cannot be stopped; its keywords are taken here as they are, with another function for the search.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType, SimpleNamespace
from typing import Any

import regex
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from workers.tasks.json_unique import unique_items
from workers.tasks.patterns import python_pattern

PATTERN_SECONDS = 1.0
"""processor seconds that all patterns of a schema together may take on one completion"""

_left: ContextVar[list[float]] = ContextVar("left")
"""one number: seconds that are left"""


class PatternTimeout(Exception):
    """The patterns took too long; the text says so. It is no mismatch: `not` would make that right."""


@contextmanager
def pattern_time() -> Iterator[None]:
    """Gives the patterns that are matched inside their time, which ends with `PatternTimeout`."""
    token = _left.set([PATTERN_SECONDS])
    try:
        yield
    finally:
        _left.reset(token)


def _search(pattern: str, text: str) -> Any:  # noqa: ANN401
    left, started = _left.get(), time.process_time()
    try:
        if left[0] <= 0:
            raise TimeoutError
        return regex.search(python_pattern(pattern), text, timeout=left[0])
    except TimeoutError:
        message = f"matching {pattern[:100]!r} took more than {PATTERN_SECONDS:g} s and was stopped"
        raise PatternTimeout(message) from None
    finally:
        left[0] -= time.process_time() - started


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:  # noqa: ANN401
    if isinstance(instance, str) and not _search(pattern, instance):
        yield ValidationError(f"does not match {pattern!r}")


Namespace = dict[str, Any]
"""Values by the names that they have in a module."""


def _limited(function: Callable[..., Any], done: Namespace) -> Any:  # noqa: ANN401
    """The function, and what it calls of its own package, with `_search` in the place of `re.search`."""
    assert isinstance(function, FunctionType)  # noqa: S101 - for the type checker
    names: Namespace = dict(function.__globals__)
    copy = done[function.__name__] = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    for name in function.__code__.co_names:
        called = names.get(name)
        if name == "re":
            names[name] = SimpleNamespace(search=_search)
        elif isinstance(called, FunctionType) and called.__module__ == "jsonschema._utils":
            names[name] = done.get(name) or _limited(called, done)
    return copy


_KEYWORDS: Mapping[str, Any] = Draft202012Validator.VALIDATORS
LimitedValidator = extend(
    Draft202012Validator,
    {"pattern": _pattern, "uniqueItems": unique_items}
    | {
        name: _limited(_KEYWORDS[name], {})
        for name in ("patternProperties", "additionalProperties", "unevaluatedProperties")
    },
)
"""Validates as `Draft202012Validator` does, inside `pattern_time`."""
