"""What stands for the program's objects where tests run: every use is asked of the program, and little is believed.

A `Remote` equals only objects of the program, never a plain value, and an operator between it and a plain value gives
another object of the program or an error: a program that makes up a class must not say what a difference or a
comparison with the expected value is. Standard library only.
"""

import operator
from collections.abc import Callable
from typing import Any

ASKED = {"__name__", "__qualname__", "__doc__", "__wrapped__", "__dict__", "__annotations__", "__cause__"}
"""attributes of this form that are asked of the program; Python looks for others by itself"""
BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift"]
ORDER = ("lt", "le", "gt", "ge")
ALONE = ("neg", "pos", "invert", "abs")
NUMBERS: dict[str, type] = {"__int__": int, "__float__": float, "__complex__": complex}


class Using:
    """The uses of an object of the program, whatever stands for it: its attributes and methods."""

    _ask: Callable[..., Any]
    _content: Any
    """what the program is sent for it: a number first"""
    _source: str

    def _do(self, operation: str, *args: Any) -> Any:  # noqa: ANN401
        return Using._ask(operation, on=self._content[0], of=self._source, args=list(args))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__") and name not in ASKED:
            raise AttributeError(name)
        return self._do("attribute", name)

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401
        if name.startswith("__"):  # Python's own: a traceback
            object.__setattr__(self, name, value)
        else:
            self._do("set_attribute", name, value)


def _attach(made: Any, content: Any, source: str) -> Any:  # noqa: ANN401
    for name, value in (("_content", content), ("_source", source)):
        object.__setattr__(made, name, value)
    return made


class Remote(Using):
    """An object of the program."""

    _named = False
    """True while `repr` is the source, which asks the program for nothing"""
    leave: Callable[..., bool]
    """what leaves the program's context manager"""

    def __init__(self, content: Any, source: str) -> None:  # noqa: ANN401
        _attach(self, content, source)
        object.__setattr__(self, "_built", False)
        object.__setattr__(self, "_derived", False)

    def __call__(self, *args: Any, **keywords: Any) -> Any:  # noqa: ANN401, D102
        made = Using._ask("call", on=self._content[0], of=self._source, args=list(args), keywords=keywords)
        if self._content[1] == "class" and self._source[0].isupper() and isinstance(made, Remote):
            object.__setattr__(made, "_built", True)  # the test made it, so its operators are what is tested
        return made

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401
        return self._do("item", key)

    def __setitem__(self, key: Any, value: Any) -> None:  # noqa: ANN401
        self._do("set_item", key, value)

    def __delitem__(self, key: Any) -> None:  # noqa: ANN401
        self._do("delete_item", key)

    def __iter__(self) -> Any:  # noqa: ANN401
        return self._do("iterate")

    def __next__(self) -> Any:  # noqa: ANN401
        return self._do("next")

    def __len__(self) -> int:
        return int(self._do("length"))

    def __bool__(self) -> bool:
        return bool(self._whole("truth"))

    def __str__(self) -> str:
        return str(self._do("text"))

    def __repr__(self) -> str:
        return self._source if Remote._named else str(self._do("repr"))

    def __format__(self, form: str) -> str:
        return str(self._whole("format", form))

    def __hash__(self) -> int:
        return int(self._do("hash"))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Remote):
            return self is other or bool(self._do("same", other))
        return self._content[1] == "changing" and not isinstance(other, Using) and bool(self._do("plain") == other)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, Using) and bool(self._do("isinstance", instance))

    def __subclasscheck__(self, kind: type) -> bool:
        return (isinstance(kind, Remote) or hasattr(kind, "_content")) and bool(self._do("issubclass", kind))

    def __enter__(self) -> Any:  # noqa: ANN401
        return self._do("enter")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:  # noqa: ANN401
        return Remote.leave(self, kind, error)

    def __copy__(self) -> Any:  # noqa: ANN401
        return self._do("copy")

    def __deepcopy__(self, _: Any) -> Any:  # noqa: ANN401
        return self._do("deepcopy")

    def __round__(self, *digits: int) -> Any:  # noqa: ANN401
        return self._whole("round", *digits)

    def _whole(self, operation: str, *args: Any) -> Any:  # noqa: ANN401
        """A plain value that the object says it is: not after it was combined with a value of the test."""
        if self._derived:
            raise TypeError("an object that the program made of a value of the test is not taken for a value")
        return self._do(operation, *args)

    def _combine(self, name: str, other: Any, swapped: bool = False) -> Any:  # noqa: ANN401
        """The result of a binary operator."""
        if self._content[1] == "changing" and not isinstance(other, Using):
            plain = self._do("plain")
            return getattr(operator, name)(*((other, plain) if swapped else (plain, other)))
        together = isinstance(other, Remote)
        if not together and not self._built:
            return NotImplemented
        derived = self._derived or not together or other._derived
        value = self._do("operate_swapped" if swapped else "operate", name, other)
        if not derived:
            return value
        if not isinstance(value, Remote):
            raise TypeError("the program's operator gave a plain value for a value of the test: this is not believed")
        object.__setattr__(value, "_derived", True)
        object.__setattr__(value, "_built", True)
        return value

    def _order(self, name: str, other: Any) -> Any:  # noqa: ANN401
        if self._content[1] == "changing" and not isinstance(other, Using):
            return getattr(operator, name)(self._do("plain"), other)
        if not isinstance(other, Remote) or self._derived or other._derived:
            return NotImplemented
        return bool(self._do("operate", name, other))


def _operators() -> None:
    for name in BINARY:
        dunder = name.strip("_")
        for form, operation, swapped in (("", name, False), ("i", "i" + dunder, False), ("r", name, True)):

            def combine(self: Remote, other: Any, operation: str = operation, swapped: bool = swapped) -> Any:  # noqa: ANN401
                return self._combine(operation, other, swapped)

            setattr(Remote, f"__{form}{dunder}__", combine)
    for name in ORDER:
        setattr(Remote, f"__{name}__", lambda self, other, name=name: self._order(name, other))
    for name in ALONE:
        setattr(Remote, f"__{name}__", lambda self, name=name: self._whole("operate_alone", name))
    for name, kind in NUMBERS.items():
        setattr(Remote, name, lambda self, kind=kind: kind(self._whole("number", kind)))
    Remote.__index__ = lambda self: int(self._whole("number", int))  # type: ignore[attr-defined]


_operators()

LIKE: dict[type, type] = {}
"""a plain type -> its subclass whose attributes are asked of the program"""


def like(content: Any, value: Any, source: str) -> Any:  # noqa: ANN401
    """A plain value of a subclass that the program defined: it is the value, and has the program's attributes."""
    kind = type(value)
    if kind not in LIKE:
        LIKE[kind] = type(kind.__name__, (Using, kind), {})
    return _attach(LIKE[kind](value), content, source)


class Raising(Using):
    """An exception of one of the program's own classes."""

    def __str__(self) -> str:
        return str(self._do("text"))


def exception_class(lineage: list[Any], known: dict[int, type], python: Callable[[str, str], type]) -> type:
    """The class of such a lineage (`serve`), nearest ancestor first; the program's own ones are made here, once."""
    (number, name), rest = lineage[0], lineage[1:]
    if not rest:
        return python(number, name)
    if number not in known:
        above = exception_class(rest, known, python)
        bases = (above,) if issubclass(above, Raising) else (Raising, above)
        known[number] = type(str(name), bases, {"_content": lineage, "_source": str(name)})
    return known[number]
