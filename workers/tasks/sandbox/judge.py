"""The tests' side of a test: runs them in a process of their own, which has never seen the program.

The program's functions are called over the channel (`conversation`); what stands for them and for their results here is
a `Remote`. So what the program does to its own process, an object that equals everything, `sys.exit(0)`, another
`print`, has no hold on the assertions. What is said of a failure is the last call of the program and what came of it,
taken from the channel and never from the assertions, which hold what is expected. Standard library only.
"""

import ast
import builtins
import importlib
import sys
import traceback
import types
from collections.abc import Callable, Collection
from typing import Any, BinaryIO

from workers.tasks.sandbox import messages, preload
from workers.tasks.sandbox.conversation import HERE, Conversation
from workers.tasks.sandbox.remote import Remote, Using

FILE = "test.py"
"""what a traceback calls the tests"""


def run(stream: BinaryIO, header: messages.Message) -> int:
    """Run the tests in `header["source"]` and send what came out, which is this side's to say.

    The rest of the header is that of `gapcast.contract.test_code.TestCode`, and `fn_name`.
    """
    conversation = Conversation(stream)
    Using._ask = staticmethod(conversation.ask)
    tests = _Tests(header, conversation)
    expected, got, invalid = None, None, None
    try:
        code = tests.compiled()
    except (SyntaxError, ValueError, RecursionError) as error:
        messages.send(stream, {"invalid": f"does not compile: {messages.describe(error)}"})
        return 1
    line: int | None = None
    try:
        tests.run(code)
    except Unequal as error:
        expected, line = error.expected, _line(error)
    except BaseException as error:  # the text of the tests' own errors may say what is expected
        line = _line(error)
        if error is not conversation.raised:
            if isinstance(error, NameError) and error.name in header["names"]:
                got = messages.describe(error)
            elif isinstance(error, ImportError):
                invalid = f"imports what the sandbox does not have, in line {line}: {messages.describe(error)}"
    else:
        if tests.asserted:
            messages.send(stream, {"passed": True})
            return 0
        got = "No assertion was reached."
    if invalid is not None:
        messages.send(stream, {"invalid": invalid})
        return 1
    got = conversation.got() or got
    messages.send(stream, {"passed": False, "call": conversation.call, "got": got, "expected": expected, "line": line})
    return 0


def _line(error: BaseException) -> int | None:
    """The line of the tests in which it was raised."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    return lines[-1] if lines else None


class _Tests:
    def __init__(self, header: messages.Message, conversation: Conversation) -> None:
        self._header, self._conversation = header, conversation
        self.asserted = False
        """True once an assertion held"""
        self._raises: set[int] = set()
        """the lines of `raise` statements"""

    def compiled(self) -> types.CodeType:
        tree = ast.parse(self._header["source"])
        self._raises = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Raise)}
        changed = _Assertions(set(self._header["names"])).visit(tree)
        return compile(ast.fix_missing_locations(changed), FILE, "exec", dont_inherit=True)

    def run(self, code: types.CodeType) -> None:
        """Run them; an exception means that they failed."""
        names = self._names()
        module = types.ModuleType(HERE)
        module.__dict__.update(names)
        sys.modules[HERE] = module
        exec(code, vars(module))  # noqa: S102 - what this sandbox is for
        for name in self._header["functions"]:
            vars(module)[name]()
        if self._header["check"] is not None:
            vars(module)[self._header["check"]](names.get(self._header["fn_name"]))
        for name in self._header["cases"]:
            self._run_case(vars(module)[name])
        if self._conversation.failed is not None:
            raise self._conversation.failed
        self.asserted = self.asserted or bool(self._raises)

    def _names(self) -> preload.Namespace:
        header, ask = self._header, self._conversation.ask
        usual = preload.generous_builtins() if header["usual"] else {}
        names: preload.Namespace = {name: importlib.import_module(name) for name in header["modules"]}
        names |= {name: usual[name] for name in header["usual"]}
        given = set(header["names"]).intersection(ask("names", names=header["names"]))  # it may claim to give more
        for name in sorted(given):
            value = ask("name", name=name)
            if isinstance(value, Remote | type):
                names[name] = value
        missing = header["fn_name"] if header["check"] is not None and header["fn_name"] not in given else None
        if missing is not None:
            raise NameError(f"name {missing!r} is not defined", name=missing)
        Remote.leave = staticmethod(self._exit)
        if plain := given - names.keys():
            names["__builtins__"] = _Builtins(ask, plain)
        return names | {_Assertions.HOLDS: self._holds, _Assertions.EQUAL: self._equal, _Assertions.NOTED: self._noted}

    def _run_case(self, kind: Any) -> None:  # noqa: ANN401
        """Call the test methods of a class of unittest's or pytest's."""
        import unittest

        if isinstance(kind, type) and issubclass(kind, unittest.TestCase):
            for case in unittest.defaultTestLoader.loadTestsFromTestCase(kind):
                result = unittest.TestResult()
                case.run(result)
                if not result.wasSuccessful():
                    raise Unequal(None)
                self.asserted = self.asserted or not result.skipped
            return
        for name in sorted(vars(kind)):
            if name.startswith("test"):
                made = kind()
                for method in ("setup_method", name, "teardown_method"):
                    if hasattr(made, method):
                        getattr(made, method)()

    def _holds(self, value: Any) -> None:  # noqa: ANN401
        if not value:
            raise Unequal(None)
        self.asserted = True

    def _equal(self, left: Any, right: Any, expected: str | None) -> None:  # noqa: ANN401
        if not left == right:
            raise Unequal(expected)
        self.asserted = True

    def _noted(self) -> None:
        """A handler was reached: tests that expect an exception have no other assertion."""
        self.asserted = True

    def _exit(self, manager: Remote, kind: Any, error: Any) -> bool:  # noqa: ANN401
        """Leave the program's context manager; it may keep to itself what it raised or the tests raise on purpose."""
        swallowed = bool(manager._do("exit", kind, error))
        if error is None:
            return False
        return swallowed and (error is self._conversation.raised or _line(error) in self._raises)


class _Builtins(dict[str, Any]):
    """Python's builtins, and names of the program that hold plain values: asked each time, as the program sets them."""

    def __init__(self, ask: Callable[..., Any], names: Collection[str]) -> None:
        super().__init__(vars(builtins))
        self._ask, self._names = ask, names

    def __missing__(self, name: str) -> Any:  # noqa: ANN401
        if name in self._names:
            return self._ask("name", name=name)
        raise KeyError(name)


class Unequal(AssertionError):
    """An `assert` that did not hold, of `assert a == b` with what is expected."""

    def __init__(self, expected: str | None) -> None:
        super().__init__()
        self.expected = expected


class _Assertions(ast.NodeTransformer):
    """Makes assertions calls, so that they are counted; `assert call == value`, either way round, says the value."""

    HOLDS, EQUAL, NOTED = "__assert_holds__", "__assert_equal__", "__assert_noted__"

    def __init__(self, wanted: set[str]) -> None:
        self._wanted = wanted

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        test = node.test
        arguments = [test]
        name = self.HOLDS
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
            left, right = test.left, test.comparators[0]
            values = [value for one, value in ((left, right), (right, left)) if self._is_call(one) and _is_plain(value)]
            arguments = [left, right, ast.Constant(ast.unparse(values[0]) if values else None)]
            name = self.EQUAL
        call = ast.Call(ast.Name(name, ast.Load()), arguments, [])
        return ast.copy_location(ast.Expr(call), node)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        self.generic_visit(node)
        noted = ast.Expr(ast.Call(ast.Name(self.NOTED, ast.Load()), [], []))
        node.body.insert(0, ast.copy_location(noted, node.body[0]))
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        """Leave out `unittest.main()`: the cases are run in any case."""
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "unittest.main":
            return ast.copy_location(ast.Pass(), node)
        return node

    def _is_call(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self._wanted


def _is_plain(node: ast.expr) -> bool:
    """Whether it says by itself what it is."""
    return all(hasattr(builtins, part.id) for part in ast.walk(node) if isinstance(part, ast.Name))
