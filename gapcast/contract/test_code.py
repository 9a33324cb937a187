"""The text of a Python test: what it takes from the program, what it runs, and why it cannot hold, without running it.

Server and worker read a test in the same way. The sandbox that runs it is told the names and decides nothing itself.
"""

import ast
import builtins
import importlib
import symtable
import sys
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

MODULES = frozenset(
    {"math", "re", "string", "bisect", "heapq", "collections", "itertools", "functools", "operator", "random"}
    | {"typing", "copy", "json", "datetime", "time", "io"}
)
"""standard modules that a test may use without an import, as solutions may"""
STARRED = ("typing", "math", "collections", "itertools", "functools", "bisect", "heapq")
"""standard modules whose names a test may use without an import"""
CLASSES = {"deque", "defaultdict", "namedtuple"}
"""names of Python's in lower case that no program gives another meaning"""
ELSEWHERE = {
    "np": "numpy",
    "numpy": "numpy",
    "pd": "pandas",
    "pandas": "pandas",
    "plt": "matplotlib",
    "tf": "tensorflow",
    "torch": "torch",
    "sns": "seaborn",
    "nx": "networkx",
    "sympy": "sympy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "pytest": "pytest",
}
"""names by which everybody knows a package that the sandbox does not have: a program must not say what they are"""


class CannotHold(ValueError):
    """The reason that a test cannot hold, whatever the program is; continues `The test ...`."""


@dataclass(frozen=True)
class TestCode:
    """What the sandbox must know of a test."""

    __test__ = False

    modules: tuple[str, ...]
    """standard modules that it uses without an import"""
    usual: tuple[str, ...]
    """names of standard modules that it uses without an import"""
    names: tuple[str, ...]
    """names that it takes from the program"""
    functions: tuple[str, ...]
    """its functions that are called without arguments: those of pytest"""
    check: str | None
    """its function that is called with the program's `fn_name`: that of HumanEval"""
    cases: tuple[str, ...]
    """its classes whose test methods are called"""

    def header(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


@lru_cache(maxsize=4096)
def read_test(source: str, fn_name: str | None = None) -> TestCode:
    """Read a test.

    Raises:
        CannotHold: it is not Python, asserts nothing, or needs what the sandbox does not have.
    """
    try:
        tree = ast.parse(source)
        free = _free_names(symtable.symtable(source, "test.py", "exec")) - _starred(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise CannotHold(f"is not Python: {error}.") from None
    _refuse_imports(tree)
    runs = _Runs(tree, fn_name)
    if not runs.checks():
        raise CannotHold("does not run an `assert`. Add one, or call the function that has it.")
    modules, usual, names = _origins(tree, free, fn_name)
    if not names and runs.check is None:
        own = sorted({name for name in _called(tree) if hasattr(builtins, name)} - {"print", "check"})
        named = f" `{own[0]}` is Python's own: name it in fn_name if the program defines it." if own else ""
        raise CannotHold(f"does not use a name of the program, so it says nothing about it.{named}")
    for name in sorted(names & ELSEWHERE.keys() - {fn_name}):
        raise CannotHold(
            f"uses `{name}` in line {_line(tree, name)}, which it does not define. "
            f"The sandbox has Python's standard library and not {ELSEWHERE[name]}. Write the test without it."
        )
    if runs.check is not None and fn_name is not None:
        names |= {fn_name}
    return TestCode(
        modules=tuple(sorted(modules)),
        usual=tuple(sorted(usual)),
        names=tuple(sorted(names)),
        functions=tuple(runs.functions),
        check=runs.check,
        cases=tuple(runs.cases),
    )


def _free_names(table: symtable.SymbolTable) -> set[str]:
    """The global names that a test reads and never binds."""
    read: set[str] = set()
    bound: set[str] = set()
    pending = [table]
    while pending:
        scope = pending.pop()
        pending += scope.get_children()
        for symbol in scope.get_symbols():
            if scope is not table and not symbol.is_global():
                continue
            if symbol.is_referenced():
                read.add(symbol.get_name())
            if symbol.is_assigned() or symbol.is_imported():
                bound.add(symbol.get_name())
    return {name for name in read - bound if not (name.startswith("__") and name.endswith("__"))}


def _public(module: str) -> frozenset[str]:
    held = importlib.import_module(module)
    return frozenset(getattr(held, "__all__", None) or [name for name in vars(held) if not name.startswith("_")])


USUAL = frozenset().union(*map(_public, STARRED)) | MODULES


def _starred(tree: ast.Module) -> set[str]:
    """What `from module import *` binds, of the modules that are known here."""
    stars = (node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.names[0].name == "*")
    return {name for module in stars if module in MODULES for name in _public(module)}


def _refuse_imports(tree: ast.Module) -> None:
    tried = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.Try) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            packages = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            packages = ["" if node.level else str(node.module).partition(".")[0]]
        else:
            continue
        for package in packages:
            if package not in sys.stdlib_module_names and id(node) not in tried:
                raise CannotHold(
                    f"imports {package or 'its own package'} in line {node.lineno}. The sandbox has Python's standard "
                    "library and the program's names, without an import. Write the test without it."
                )


def _origins(tree: ast.Module, free: set[str], fn_name: str | None) -> tuple[set[str], set[str], set[str]]:
    """The standard modules, the standard modules' names and the program's names among the free ones.

    A name that is usually Python's stays Python's, so that a program which defines `abs` or `Counter` does not decide
    what the test compares. It is the program's if `fn_name` says so, or where the test calls nothing else: `gcd`.

    Raises:
        CannotHold: a name may be Python's or the program's, and nothing says which.
    """
    free = {name for name in free if name == fn_name or not hasattr(builtins, name)}
    inside = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    bare = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in inside}
    modules = {name for name in free & MODULES - bare if name != fn_name}
    usual = {name for name in free & USUAL - modules if name != fn_name}
    names = free - modules - usual
    unclear = {name for name in usual if name.islower()} - CLASSES
    if not names:
        names = unclear & _called(tree)
    elif fn_name not in names and unclear:
        name = min(unclear)
        raise CannotHold(
            f"uses `{name}` in line {_line(tree, name)}, which may be Python's or the program's. "
            "Import it if it is Python's; if it is the program's, call it something else."
        )
    return modules, usual - names, names


def _called(tree: ast.AST) -> set[str]:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {function.id for function in calls if isinstance(function, ast.Name)}


def _line(tree: ast.Module, name: str) -> int:
    return next(node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name)


Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Runs:
    """What of a test is run: its statements, and functions and classes that nothing in it calls but a test runner."""

    def __init__(self, tree: ast.Module, fn_name: str | None) -> None:
        self._tree = tree
        self._defined = {node.name: node for node in tree.body if isinstance(node, Function | ast.ClassDef)}
        self.functions: list[str] = []
        self.cases: list[str] = []
        self.check: str | None = None
        for name, node in self._defined.items():
            if self._is_used(name, node):
                continue
            if isinstance(node, ast.ClassDef):
                if any(isinstance(method, Function) and method.name.startswith("test") for method in node.body):
                    self.cases.append(name)
                continue
            required = _required(node)
            takes_program = len(required) == 1 and (name == "check" or required[0] == "candidate")
            if takes_program:
                if fn_name is None:
                    raise CannotHold(
                        f"defines `{name}({required[0]})` in line {node.lineno} and does not call it. Name the "
                        "program's function in fn_name, or add the call."
                    )
                self.check = name
            elif name.startswith("test"):
                if required or isinstance(node, ast.AsyncFunctionDef):
                    what = "is asynchronous" if not required else f"takes `{required[0]}`"
                    raise CannotHold(
                        f"has `{name}` in line {node.lineno}, which {what}. Only functions without arguments are "
                        "called. Call it in the test."
                    )
                self.functions.append(name)

    def _is_used(self, name: str, node: ast.AST) -> bool:
        inside = {id(inner) for inner in ast.walk(node)}
        return any(
            isinstance(other, ast.Name) and other.id == name and id(other) not in inside
            for other in ast.walk(self._tree)
        )

    def checks(self) -> bool:
        """Return True if an assertion is among what is run."""
        pending: list[ast.AST] = [node for node in self._tree.body if not isinstance(node, Function | ast.ClassDef)]
        pending += [self._defined[name] for name in (*self.functions, *self.cases, *filter(None, [self.check]))]
        reached: set[int] = set()
        while pending:
            for node in ast.walk(pending.pop()):
                if _is_check(node):
                    return True
                called = self._defined.get(node.id) if isinstance(node, ast.Name) else None
                if called is not None and id(called) not in reached:
                    reached.add(id(called))
                    pending.append(called)
        return False


def _required(node: Function) -> list[str]:
    positional = [*node.args.posonlyargs, *node.args.args]
    return [argument.arg for argument in positional[: len(positional) - len(node.args.defaults)]]


def _is_check(node: ast.AST) -> bool:
    """An `assert`, a `raise`, or a call of unittest's `self.assert...`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr.startswith("assert") or node.func.attr == "fail"
    return isinstance(node, ast.Assert | ast.Raise)
