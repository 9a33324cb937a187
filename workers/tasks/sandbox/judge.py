"""The tests' side of a test: runs `assert` statements in a process of their own, which has never seen the program.

The program's functions are called over the channel; what stands for them and for their results here is a `Remote`.
So what the program does to its own process, an object that equals everything, `sys.exit(0)`, another `print`, has no
hold on the assertions. Standard library only.
"""

import ast
import builtins
import importlib
from collections.abc import Callable
from typing import Any, BinaryIO

from workers.tasks.sandbox import messages, plain, preload


class ProgramError(Exception):
    """The program raised something that is none of Python's own exceptions."""


class Remote:
    """An object of the program. It equals only objects of the program, never a plain value.

    What it contains is looked for among its items, here: the object itself might claim to contain everything.
    """

    _ask: Callable[..., Any]

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, *args: Any, **keywords: Any) -> Any:  # noqa: ANN401, D102
        return self._ask("call", on=self._number, args=list(args), keywords=keywords)

    def _do(self, operation: str, *args: Any) -> Any:  # noqa: ANN401
        return self._ask(operation, on=self._number, args=list(args))

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
        return str(self._do("repr"))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and bool(self._do("same", other))

    def __hash__(self) -> int:
        return int(self._do("hash"))


def _number(value: Any) -> int:  # noqa: ANN401
    if isinstance(value, Remote):
        return value._number
    raise TypeError(f"a {type(value).__name__} cannot be handed to the program: plain values and its own objects can")


def run(stream: BinaryIO, header: dict[str, Any]) -> int:
    """Run the assertions in `header["source"]` and send what came out, which is this side's to say."""

    def ask(operation: str, **request: Any) -> Any:  # noqa: ANN401
        given = request.get("args", [])
        if "args" in request:
            request["args"] = plain.encode(given, _number)
        if "keywords" in request:
            request["keywords"] = plain.encode(request["keywords"], _number)
        messages.send(stream, {"ask": {"do": operation, **request}})
        answer = messages.receive(stream)
        if "raised" in answer:
            kind = getattr(builtins, answer["raised"], None)
            known = isinstance(kind, type) and issubclass(kind, Exception)
            raise (kind if known else ProgramError)(answer["message"])  # type: ignore[misc]
        for old, new in zip(given, plain.decode(answer.get("changed", []), Remote), strict=False):
            _change(old, new)
        return plain.decode(answer["value"], Remote)

    Remote._ask = staticmethod(ask)
    try:
        tree = _Comparisons().visit(ast.parse(header["source"]))
        code = compile(ast.fix_missing_locations(tree), "test.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError) as error:
        messages.send(stream, {"invalid": messages.describe(error)})
        return 1
    try:
        names = _names(tree, header["fn_name"], ask)
        exec(code, names | {"__name__": "test", _Comparisons.NAME: _equal})  # noqa: S102 - what this sandbox is for
    except Unequal as error:
        messages.send(stream, {"passed": False, "got": error.got, "compared": error.source})
    except BaseException as error:
        messages.send(stream, {"passed": False, "got": messages.describe(error)})
    else:
        messages.send(stream, {"passed": True})
    return 0


def _change(old: Any, new: Any) -> None:  # noqa: ANN401
    """Bring an argument that the call changed in place up to date."""
    if isinstance(old, list):
        old[:] = new
    elif isinstance(old, dict | set):
        old.clear()
        old.update(new)


class Unequal(AssertionError):
    """An `assert a == b` that did not hold."""

    def __init__(self, got: str, source: list[str]) -> None:
        super().__init__()
        self.got = got
        self.source = source


def _equal(left: Any, right: Any, source: list[str]) -> None:  # noqa: ANN401
    if not left == right:
        raise Unequal(repr(left), source)


class _Comparisons(ast.NodeTransformer):
    """Makes `assert a == b` say what `a` was."""

    NAME = "__assert_equal__"

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        test = node.test
        if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
            return node
        source = [ast.unparse(test.left), ast.unparse(test.comparators[0])]
        call = ast.parse(f"{self.NAME}(0, 0, {source!r})").body[0]
        assert isinstance(call, ast.Expr)  # noqa: S101 - for the type checker
        assert isinstance(call.value, ast.Call)  # noqa: S101
        call.value.args[:2] = [test.left, test.comparators[0]]
        return ast.copy_location(call, node)


def _names(tree: ast.AST, fn_name: str | None, ask: Callable[..., Any]) -> dict[str, Any]:
    """What the tests use and do not define: a standard module of which they take attributes, else the program's."""
    used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    inside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    free = {node.id for node in used if isinstance(node.ctx, ast.Load)} - {_Comparisons.NAME}
    free -= {node.id for node in used if not isinstance(node.ctx, ast.Load)}
    bare = {node.id for node in used if id(node) not in inside}
    modules = {name for name in free - bare if name in (*preload.COMMON, *preload.OTHERS)}
    # a program that redefines `abs` must not decide what the tests' `abs` is, unless that is what is tested
    wanted = {name for name in free - modules if name == fn_name or not hasattr(builtins, name)}
    found = {name: importlib.import_module(name) for name in modules}
    given = wanted.intersection(ask("names", names=sorted(wanted)))  # it may claim to give more
    return found | {name: ask("name", name=name) for name in sorted(given)}
