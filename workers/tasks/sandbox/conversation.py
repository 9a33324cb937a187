"""What tests ask of the program, over the channel, and what the program may ask of the tests. Standard library only."""

import functools
import operator
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from workers.tasks.sandbox import messages, plain
from workers.tasks.sandbox.remote import Raising, Remote, Using, exception_class, like

LONGEST_CALL = 1900
"""characters of a call that are told: the worker shows some more and need not cut it again"""
NOTED = {"call", "item", "length", "attribute"}
"""what is told of a failure"""
METHODS = (types.BuiltinMethodType, types.MethodWrapperType)
USES: dict[str, Callable[..., Any]] = {
    "item": operator.getitem,
    "length": len,
    "truth": bool,
    "iterate": iter,
    "next": next,
}
"""what the program may do with an object of the tests' own, besides calls and attributes"""
HERE = "__main__"
"""the module that tests are: what it defines may be used by the program"""


class ProgramError(Exception):
    """The program raised something that is none of Python's own exceptions."""


class Conversation:
    """What is asked of the program, with the last call and what came of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._answer: Any = None
        self._made: dict[int, Any] = {}
        self._classes: dict[int, type] = {}
        self._named: dict[tuple[str, ...], Any] = {}
        self._given: list[Any] = []
        self._given_numbers: dict[int, int] = {}
        self.raised: BaseException | None = None
        """the last exception of the program"""
        self.failed: AssertionError | None = None
        """an assertion that did not hold in a function which the program called"""
        self.call: str | None = None
        """The source of the last call, with its arguments' values; None while nothing was called."""

    def ask(self, operation: str, **request: Any) -> Any:  # noqa: ANN401
        """Ask the program for something; raises what the program raises."""
        given = request.get("args", [])
        source = _source_of(operation, request)
        noted = operation in NOTED
        if noted:
            self.call, self._answer = _cut(source), None
        try:
            for part in ("args", "keywords"):
                if part in request:
                    request[part] = self._encode(request[part])
        except TypeError as error:
            self._answer = {"message": f"TypeError: {error}", "raised": []}
            raise
        answer = self._exchange({"do": operation, **request})
        if noted:
            self._answer = answer
        if "raised" in answer:
            self.raised = self._exception(answer)
            raise self.raised
        if "changed" in answer:
            for old, new in zip(given, self._decode(answer["changed"], source), strict=False):
                _change(old, new)
        return self._decode(answer["value"], source)

    def _exchange(self, message: messages.Message) -> Any:  # noqa: ANN401
        """Send a request and wait for its answer; what the program asks meanwhile is answered first."""
        messages.send(self._stream, {"ask": message, "call": self.call})
        answer = messages.receive(self._stream)
        while "callback" in answer:
            try:
                reply = {"value": self._encode(self._used(answer))}
            except Exception as error:
                if isinstance(error, AssertionError):  # the program may keep it to itself
                    self.failed = self.failed or error
                reply = {"error": self._encode(error)}
            messages.send(self._stream, {"ask": {"do": "returned", **reply}, "call": self.call})
            answer = messages.receive(self._stream)
        return answer

    def got(self) -> str | None:
        """What the last call came to; None where nothing was called."""
        if self.call is None:
            return None
        answer = self._answer
        try:
            if "raised" in answer:
                return str(answer["message"])
            value, changed = (
                plain.decode(answer.get(part), functools.partial(self._meant, source=None))
                for part in ("value", "changed")
            )
            return named(value) if changed is None else f"{named(value)}; its arguments became {named(changed)}"
        except BaseException:
            return "The program gave no result."

    def _decode(self, data: Any, source: str) -> Any:  # noqa: ANN401
        return plain.decode(data, lambda kind, content: self._meant(kind, content, source))

    def _meant(self, kind: str, content: Any, source: str | None) -> Any:  # noqa: ANN401
        """What stands for an object of the program: the same each time. Without a source, what it calls itself."""
        if kind == "given":
            return self._given[content[0]]
        if kind == "global":  # none that the tests have not named
            return self._named[tuple(content)]
        if kind == "error":
            return exception_class(content, self._classes, _python_exception)
        if kind == "exception":
            return self._exception(content)
        if kind not in {"object", "like"}:
            raise ValueError(kind)
        if source is None:
            if kind == "like":
                return plain.decode(content[1], lambda inner, parts: self._meant(inner, parts, None))
            return Remote(content, str(self.ask("repr", on=content[0], args=[])))
        number = content[0]
        if number not in self._made:
            if kind == "like":
                self._made[number] = like(content, self._decode(content[1], source), source)
            else:
                self._made[number] = Remote(content, source)
        return self._made[number]

    def _exception(self, answer: Any) -> BaseException:  # noqa: ANN401
        kind: type[Any] = exception_class(answer["raised"], self._classes, _python_exception)
        new: Callable[..., Any] = kind.__new__
        arguments = self._decode(answer["args"], "error")
        try:
            error = new(kind, *arguments)
            if not isinstance(error, Raising):
                kind.__init__(error, *arguments)
        except Exception:
            error = new(kind)
        BaseException.__setattr__(error, "args", tuple(arguments))
        if isinstance(error, Raising):
            BaseException.__setattr__(error, "_content", [answer["error"]])
        return error  # type: ignore[no-any-return]

    def _encode(self, value: Any) -> Any:  # noqa: ANN401
        return plain.encode(value, self._other)

    def _other(self, value: Any) -> Any:  # noqa: ANN401
        """What the program is sent for something that is not plain."""
        kind = type(value)
        if kind is Remote:
            return {"object": value._content}
        if isinstance(value, type) and issubclass(value, Raising):
            return {"error": value._content}
        if isinstance(value, Raising):
            return {"object": [value._content[0], ""]}
        if isinstance(value, Using):
            return {"like": value._content}
        if isinstance(value, BaseException):
            known = next(base for base in kind.__mro__ if base in plain.TYPE_NAMES)
            return {"raised": [plain.TYPE_NAMES[known], self._encode([str(part) for part in value.args])]}
        fixed = plain.base(value)
        if fixed is not None:
            return self._encode(fixed)
        if self._is_usable(value):
            number = self._given_numbers.setdefault(id(value), len(self._given))
            if number == len(self._given):
                self._given.append(value)
            return {"given": [number, str(getattr(value, "__name__", kind.__name__))]}
        place = _place(value)
        if place is None:
            raise TypeError(f"a {kind.__name__} cannot be handed to the program")
        self._named[tuple(place)] = value
        return {"global": place}

    @staticmethod
    def _is_usable(value: Any) -> bool:  # noqa: ANN401
        """True if the program may use it here: functions, iterators and what tests define; never a whole module."""
        if isinstance(value, types.FunctionType | types.MethodType | Iterator):
            return True
        if isinstance(value, METHODS):  # `found.append`
            return type(value.__self__) in (*plain.CHANGING, *plain.BASES)
        return _is_own(value)

    def _used(self, request: Any) -> Any:  # noqa: ANN401
        """The answer to a use that the program makes of something of the tests."""
        target, operation = self._given[request["callback"]], request["do"]
        args, keywords = (self._decode(request[part], "argument") for part in ("args", "keywords"))
        if operation == "call" and callable(target):
            return target(*args, **keywords)
        if operation in {"next", "iterate"} and isinstance(target, Iterator):
            return next(target) if operation == "next" else target
        if operation == "truth" and not hasattr(target, "__len__"):
            return bool(target)
        if not _is_own(target):
            raise TypeError(f"a {type(target).__name__} cannot be used in this way by the program")
        if operation in {"attribute", "set_attribute"}:
            if args[0].startswith("_"):
                raise AttributeError(args[0])
            return getattr(target, *args) if operation == "attribute" else setattr(target, *args)
        return USES[operation](target, *args)


def _is_own(value: Any) -> bool:  # noqa: ANN401
    """True for an object of a class that the tests define, and for such a class."""
    return (value if isinstance(value, type) else type(value)).__module__ == HERE


def _place(value: Any) -> list[str] | None:  # noqa: ANN401
    """Module and name of a function or class of the standard library, by which the program finds its like."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
    if isinstance(value, types.ModuleType) or not isinstance(module, str) or module not in sys.modules:
        return None
    try:
        same = operator.attrgetter(name)(sys.modules[module]) is value
    except AttributeError:
        return None
    return [module, name] if same and module.partition(".")[0] in sys.stdlib_module_names else None


def _python_exception(module: str, name: str) -> type[BaseException]:
    """An exception class of Python's own, as far as the tests know it; nothing that ends a program or a test run."""
    standard = module.partition(".")[0] in sys.stdlib_module_names
    found = getattr(sys.modules.get(module), name, None) if standard else None
    if isinstance(found, type) and issubclass(found, Exception) and not module.startswith("unittest"):
        return found
    return ProgramError


def _source_of(operation: str, request: messages.Message) -> str:
    """What the test could have written for this."""
    if operation == "name":
        return str(request["name"])
    of = request.pop("of", "")
    if operation == "call":
        arguments = list(map(named, request.get("args", [])))
        arguments += [f"{name}={named(value)}" for name, value in request["keywords"].items()]
        return f"{of}({', '.join(arguments)})"
    if operation == "attribute":
        return f"{of}.{request['args'][0]}"
    if operation == "item":
        return f"{of}[{named(request['args'][0])}]"
    return f"{'len' if operation == 'length' else operation}({of})"


def named(value: Any) -> str:  # noqa: ANN401
    """The value's `repr`; objects of the program by their source, without asking the program."""
    Remote._named = True
    try:
        return repr(value)
    except Exception:  # a test's own class may raise anything
        return f"<{type(value).__name__}>"
    finally:
        Remote._named = False


def _cut(source: str) -> str:
    return source if len(source) <= LONGEST_CALL else f"{source[:LONGEST_CALL]} ..."


def _change(old: Any, new: Any) -> None:  # noqa: ANN401
    """Bring an argument that the call changed in place up to date."""
    if isinstance(old, list | bytearray):
        old[:] = new
    elif isinstance(old, dict | set):
        old.clear()
        old.update(new)
    elif type(old) in plain.CHANGING:
        old.clear()
        old.extend(new)
