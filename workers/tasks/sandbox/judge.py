"""The tests' side of a test: runs `assert` statements in a process of their own, which has never seen the program.

The program's functions are called over the channel; what stands for them and for their results here is a `Remote`.
So what the program does to its own process, an object that equals everything, `sys.exit(0)`, another `print`, has no
hold on the assertions. What is said of a failure is the last call of the program and what came of it, taken from the
channel and never from the assertions, which hold what is expected. Standard library only.
"""

import ast
import builtins
import importlib
from collections.abc import Callable
from typing import Any, BinaryIO

from workers.tasks.sandbox import messages, plain, preload

LONGEST_CALL = 1900
"""characters of a call that are told: the worker shows some more and need not cut it again"""


class ProgramError(Exception):
    """The program raised something that is none of Python's own exceptions."""


class Remote:
    """An object of the program. It equals only objects of the program, never a plain value.

    What it contains is looked for among its items, here: the object itself might claim to contain everything.
    """

    _ask: Callable[..., Any]
    _named = False
    """Whether `repr` is the source, which asks the program for nothing."""

    def __init__(self, number: int, source: str) -> None:
        self._number = number
        self._source = source

    def __call__(self, *args: Any, **keywords: Any) -> Any:  # noqa: ANN401, D102
        return self._ask("call", on=self._number, of=self._source, args=list(args), keywords=keywords)

    def _do(self, operation: str, *args: Any) -> Any:  # noqa: ANN401
        return self._ask(operation, on=self._number, of=self._source, args=list(args))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        if name.startswith("__"):
            raise AttributeError(name)
        return self._do("attribute", name)

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            self._do("set_attribute", name, value)

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401
        return self._do("item", key)

    def __setitem__(self, key: Any, value: Any) -> None:  # noqa: ANN401
        self._do("set_item", key, value)

    def __delitem__(self, key: Any) -> None:  # noqa: ANN401
        self._do("delete_item", key)

    def __iter__(self) -> Any:  # noqa: ANN401
        return iter(self._do("items"))

    def __len__(self) -> int:
        return int(self._do("length"))

    def __bool__(self) -> bool:
        return bool(self._do("truth"))

    def __str__(self) -> str:
        return str(self._do("text"))

    def __repr__(self) -> str:
        return self._source if Remote._named else str(self._do("repr"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and bool(self._do("same", other))

    def __hash__(self) -> int:
        return int(self._do("hash"))


def _number(value: Any) -> int:  # noqa: ANN401
    if isinstance(value, Remote):
        return value._number
    raise TypeError(f"a {type(value).__name__} cannot be handed to the program: plain values and its own objects can")


def run(stream: BinaryIO, header: messages.Message) -> int:
    """Run the assertions in `header["source"]` and send what came out, which is this side's to say."""
    conversation = _Conversation(stream)
    Remote._ask = staticmethod(conversation.ask)
    try:
        tree = ast.parse(header["source"])
        modules, wanted = _free_names(tree, header["fn_name"])
        tree = _Comparisons(wanted).visit(tree)
        code = compile(ast.fix_missing_locations(tree), "test.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError) as error:
        messages.send(stream, {"invalid": messages.describe(error)})
        return 1
    expected, got = None, None
    try:
        names = {name: importlib.import_module(name) for name in modules}
        given = wanted.intersection(conversation.ask("names", names=sorted(wanted)))  # it may claim to give more
        names |= {name: conversation.ask("name", name=name) for name in sorted(given)}
        exec(code, names | {"__name__": "test", _Comparisons.NAME: _equal})  # noqa: S102 - what this sandbox is for
    except Unequal as error:
        expected = error.expected
    except NameError as error:
        got = messages.describe(error) if error.name in wanted else None
    except BaseException:  # noqa: S110 - the text of the tests' own errors may say what is expected
        pass
    else:
        messages.send(stream, {"passed": True})
        return 0
    got = conversation.got() or got
    messages.send(stream, {"passed": False, "call": conversation.call, "got": got, "expected": expected})
    return 0


class _Conversation:
    """What is asked of the program, with the last call and what came of it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._answer: Any = None
        self.call: str | None = None
        """The source of the last call, with its arguments' values; None while nothing was called."""

    def ask(self, operation: str, **request: Any) -> Any:  # noqa: ANN401
        given = request.get("args", [])
        source = self._source(operation, request)
        noted = operation in {"call", "item", "length", "attribute"}
        if noted:
            self.call, self._answer = _cut(source), None
        try:
            if "args" in request:
                request["args"] = plain.encode(given, _number)
            if "keywords" in request:
                request["keywords"] = plain.encode(request["keywords"], _number)
        except TypeError as error:
            self._answer = {"raised": "TypeError", "message": str(error)}
            raise
        messages.send(self._stream, {"ask": {"do": operation, **request}, "call": self.call})
        answer = messages.receive(self._stream)
        if noted:
            self._answer = answer
        if "raised" in answer:
            kind = getattr(builtins, answer["raised"], None)
            known = isinstance(kind, type) and issubclass(kind, Exception)
            raise (kind if known else ProgramError)(answer["message"])  # type: ignore[misc]

        def make(number: int) -> Remote:
            return Remote(number, source)

        for old, new in zip(given, plain.decode(answer.get("changed", []), make), strict=False):
            _change(old, new)
        return plain.decode(answer["value"], make)

    def got(self) -> str | None:
        """What the last call came to; None where nothing was called."""
        if self.call is None:
            return None
        answer = self._answer
        try:
            if "raised" in answer:
                return str(answer["message"])
            value, changed = (plain.decode(answer.get(part), self._shown) for part in ("value", "changed"))
            return _named(value) if changed is None else f"{_named(value)}; its arguments became {_named(changed)}"
        except BaseException:
            return "The program gave no result."

    def _shown(self, number: int) -> Remote:
        """An object that stays in the program, under what the program calls it."""
        return Remote(number, str(self.ask("repr", on=number, args=[])))

    @staticmethod
    def _source(operation: str, request: messages.Message) -> str:
        """What the test could have written for this."""
        if operation == "name":
            return str(request["name"])
        of = request.pop("of", "")
        arguments = list(map(_named, request.get("args", [])))
        if operation == "call":
            arguments += [f"{name}={_named(value)}" for name, value in request["keywords"].items()]
            return f"{of}({', '.join(arguments)})"
        if operation == "attribute":
            return f"{of}.{request['args'][0]}"
        if operation == "item":
            return f"{of}[{', '.join(arguments)}]"
        return f"{'len' if operation == 'length' else operation}({of})"


def _named(value: Any) -> str:  # noqa: ANN401
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
    if isinstance(old, list):
        old[:] = new
    elif isinstance(old, dict | set):
        old.clear()
        old.update(new)


class Unequal(AssertionError):
    """An `assert a == b` that did not hold."""

    def __init__(self, expected: str | None) -> None:
        super().__init__()
        self.expected = expected


def _equal(left: Any, right: Any, expected: str | None) -> None:  # noqa: ANN401
    if not left == right:
        raise Unequal(expected)


class _Comparisons(ast.NodeTransformer):
    """Makes `assert call == value`, either way round, say what the value is in the test."""

    NAME = "__assert_equal__"

    def __init__(self, wanted: set[str]) -> None:
        self._wanted = wanted

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        test = node.test
        if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
            return node
        left, right = test.left, test.comparators[0]
        values = [value for one, value in ((left, right), (right, left)) if self._is_call(one) and _is_plain(value)]
        call = ast.parse(f"{self.NAME}(0, 0, {ast.unparse(values[0]) if values else None!r})").body[0]
        assert isinstance(call, ast.Expr)  # noqa: S101 - for the type checker
        assert isinstance(call.value, ast.Call)  # noqa: S101
        call.value.args[:2] = [left, right]
        return ast.copy_location(call, node)

    def _is_call(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self._wanted


def _is_plain(node: ast.expr) -> bool:
    """Whether it says by itself what it is."""
    return all(hasattr(builtins, part.id) for part in ast.walk(node) if isinstance(part, ast.Name))


def _free_names(tree: ast.AST, fn_name: str | None) -> tuple[set[str], set[str]]:
    """What the tests use and do not define: standard modules of which they take attributes, and the program's names."""
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    inside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    free = {node.id for node in used if isinstance(node.ctx, ast.Load)}
    free -= {node.id for node in used if not isinstance(node.ctx, ast.Load)}
    bare = {node.id for node in used if id(node) not in inside}
    modules = {name for name in free - bare if name in (*preload.COMMON, *preload.OTHERS)}
    # a program that redefines `abs` must not decide what the tests' `abs` is, unless that is what is tested
    return modules, {name for name in free - modules if name == fn_name or not hasattr(builtins, name)}
