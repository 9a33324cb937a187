"""The program's side of a test: calls its functions for the judge, over the channel.

A request is `{"do": operation, ...}` and its answer `{"value"}`, `{"raised", ...}` or, for a call that changed its
arguments in place, also `{"changed"}`. Plain values leave as they are; an object that is not plain stays here under a
number. What the test hands over and is not plain (a function, an object of its own class) stays there: a `Given` stands
for it here. Standard library only.
"""

import builtins
import copy
import importlib
import json
import operator
from collections.abc import Callable
from typing import Any, BinaryIO

from workers.tasks.sandbox import messages, plain, preload

Operation = Callable[..., Any]

OPERATIONS: dict[str, Operation] = {
    "attribute": getattr,
    "set_attribute": setattr,
    "item": operator.getitem,
    "set_item": operator.setitem,
    "delete_item": operator.delitem,
    "iterate": iter,
    "next": next,
    "length": len,
    "truth": bool,
    "text": str,
    "repr": repr,
    "format": format,
    "same": operator.eq,
    "hash": hash,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "isinstance": lambda kind, value: isinstance(value, kind),
    "issubclass": lambda kind, value: issubclass(value, kind),
    "enter": lambda manager: manager.__enter__(),
    "exit": lambda manager, kind, error: manager.__exit__(kind, error, None),
    "plain": plain.base,
    "number": lambda value, kind: kind(value),
    "round": round,
    "operate": lambda value, name, other: getattr(operator, name)(value, other),
    "operate_swapped": lambda value, name, other: getattr(operator, name)(other, value),
    "operate_alone": lambda value, name: getattr(operator, name)(value),
}
"""what can be done to an object that stays here, besides calling it"""


def run(stream: BinaryIO, names: preload.Namespace) -> int:
    """Answer requests until the other side has enough."""
    server = _Server(stream, names)
    while (request := messages.receive(stream)) is not None:
        server.answer(request)
    return 0


class Given:
    """A function or an object of the test, which stays with the test; every use of it is a message."""

    _server: "_Server"

    def __init__(self, number: int, name: str) -> None:
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "__name__", name)

    def __call__(self, *args: Any, **keywords: Any) -> Any:  # noqa: ANN401, D102
        return Given._server.call_back(self, "call", args, keywords)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("_"):
            raise AttributeError(name)
        return Given._server.call_back(self, "attribute", [name])

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401
        Given._server.call_back(self, "set_attribute", [name, value])

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401
        return Given._server.call_back(self, "item", [key])

    def __len__(self) -> int:
        return int(Given._server.call_back(self, "length", []))

    def __bool__(self) -> bool:
        return bool(Given._server.call_back(self, "truth", []))

    def __iter__(self) -> Any:  # noqa: ANN401
        return Given._server.call_back(self, "iterate", [])

    def __next__(self) -> Any:  # noqa: ANN401
        return Given._server.call_back(self, "next", [])


class _Server:
    def __init__(self, stream: BinaryIO, names: preload.Namespace) -> None:
        self._stream, self._names = stream, names
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._given: dict[int, Given] = {}
        self._globals: dict[int, Any] = {}
        """what the test named of the standard library, as it named it"""
        Given._server = self

    def answer(self, request: messages.Message) -> None:
        try:
            answer = json.dumps(self._answer(request))
        except BaseException as error:
            answer = json.dumps(self._raised(error))
        messages.send_line(self._stream, answer)

    def call_back(self, given: Given, operation: str, args: Any, keywords: Any = None) -> Any:  # noqa: ANN401
        """Ask the test for something of its own; meanwhile it may ask this side."""
        message = {"callback": given._number, "do": operation, "args": self._encode(list(args))}
        messages.send(self._stream, message | {"keywords": self._encode(keywords or {})})
        while (request := messages.receive(self._stream)) is not None:
            if request["do"] != "returned":
                self.answer(request)
            elif "error" in request:
                raise self._decode(request["error"])
            else:
                return self._decode(request["value"])
        raise SystemExit

    def _answer(self, request: messages.Message) -> messages.Message:
        operation = request["do"]
        if operation == "names":
            return {"value": [name for name in request["names"] if name in self._names]}
        if operation == "name":
            return {"value": self._encode(self._names[request["name"]])}
        if operation == "entry":
            arguments = [json.loads(line) for line in request["lines"]]
            return {"value": plain.json_form(_entry(self._names, request["name"])(*arguments))}
        arguments = self._decode(request["args"])
        target = self._objects[request["on"]]
        if operation != "call":
            return {"value": self._encode(OPERATIONS[operation](target, *arguments))}
        keywords = self._decode(request["keywords"])
        value = self._encode(target(*arguments, **keywords))
        changed = self._encode(arguments)
        return {"value": value, **({"changed": changed} if changed != request["args"] else {})}

    def _encode(self, value: Any) -> Any:  # noqa: ANN401
        return plain.encode(value, self._other)

    def _other(self, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, Given):
            return {"given": [value._number, value.__name__]}
        if id(value) in self._globals:
            return {"global": self._globals[id(value)]}
        number = self._keep(value)
        if isinstance(value, type):
            return (
                {"error": self._lineage(value)} if issubclass(value, BaseException) else {"object": [number, "class"]}
            )
        if isinstance(value, BaseException):
            return {"exception": self._raised(value)}
        if isinstance(value, plain.CHANGING):
            return {"object": [number, "changing"]}
        fixed = plain.base(value, plain.BASES)
        return {"object": [number, ""]} if fixed is None else {"like": [number, self._encode(fixed)]}

    def _keep(self, value: Any) -> int:  # noqa: ANN401
        """The number of an object, the same each time."""
        number = self._numbers.setdefault(id(value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)
        return number

    def _lineage(self, kind: type[BaseException]) -> list[Any]:
        """The program's own classes from which an exception class descends, nearest first, then one of Python's."""
        own: list[Any] = []
        for ancestor in kind.__mro__:
            if getattr(builtins, ancestor.__name__, None) is ancestor:
                return [*own, ["builtins", ancestor.__name__]]
            if ancestor.__module__ not in {"program", "__main__"}:
                return [*own, [ancestor.__module__, ancestor.__qualname__]]
            own.append([self._keep(ancestor), ancestor.__name__])
        return own

    def _raised(self, error: BaseException) -> messages.Message:
        answer: messages.Message = {"raised": [["builtins", "Exception"]], "message": "", "args": []}
        try:
            answer["message"] = messages.describe(error)
            answer["raised"] = self._lineage(type(error))
            answer["error"] = self._keep(error)
            answer["args"] = self._encode(list(error.args))
            json.dumps(answer)
        except BaseException:
            answer["args"] = []
        return answer

    def _decode(self, data: Any) -> Any:  # noqa: ANN401
        return plain.decode(data, self._meant)

    def _meant(self, kind: str, content: Any) -> Any:  # noqa: ANN401
        if kind in {"object", "like"}:
            return self._objects[content[0]]
        if kind == "error":
            return self._objects[content[0][0]]
        if kind == "global":
            value = operator.attrgetter(content[1])(importlib.import_module(content[0]))
            self._globals[id(value)] = content
            return value
        if kind == "raised":
            return plain.TYPES[content[0]](*self._decode(content[1]))
        if kind == "given":
            return self._given.setdefault(content[0], Given(*content))
        raise ValueError(kind)


def _entry(names: preload.Namespace, name: str) -> Callable[..., Any]:
    """The function of that name at the top, or the method of that name of `class Solution`."""
    solution = names.get("Solution")
    if name not in names and solution is not None:
        return getattr(solution(), name)  # type: ignore[no-any-return]
    if name not in names:
        raise NameError(f"the program defines no {name}")
    return names[name]  # type: ignore[no-any-return]
