"""The reference of the command, of the client and of what can go wrong, as pages from the live code."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, get_args

import typer

from docs.rest_pages import cell
from gapcast import Client, models
from gapcast.cli.exits import MEANINGS
from gapcast.cli.main import app
from gapcast.client import errors as client_errors
from gapcast.contract import events
from gapcast.contract.observations import RowWarning
from service import errors as _errors  # noqa: F401 - defines what the tree below holds
from service.kit.errors import GapcastError

COMMAND = (
    "For anyone who uses the command. After reading this page you know every command with its arguments and options. "
    "`gapcast COMMAND --help` prints the same."
)
CLIENT = (
    "For anyone who calls the server from Python. After reading this page you know every method of `Client`. "
    "`AsyncClient` has the same methods as coroutines. The objects that they answer "
    "with have the fields of the REST API's."
)
ERRORS = (
    "For anyone who handles what can go wrong in a program. After reading this page you know every error code, exit "
    "code, warning of an import and type of event. [The law](../law.md#status-warnings-refusal-verdict) explains the "
    "warnings of predictions, [probes](../probes.md#when-it-fails) and [training runs](../training.md#when-it-fails) "
    "why a job fails."
)
SECTION = re.compile(r"^(Args|Returns|Raises|Attributes|Yields):$")


def command_page() -> str:
    """Write every command, the groups after the commands of their own."""
    root: Any = typer.main.get_command(app)
    parts = ["# The command", COMMAND]
    for path, command in _commands(root, ("gapcast",)):
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        words = [_argument(one) for one in arguments]
        parts += [
            f"## {' '.join(path)}",
            f"```text\n{' '.join([*path, *words, '[OPTIONS]'])}\n```",
            _prose(command.help or ""),
        ]
        rows = []
        for one in command.params:
            if getattr(one, "hidden", False) or one.name == "help":
                continue
            names = [one.name.upper()] if one in arguments else [*one.opts, *one.secondary_opts]
            value = f" {one.metavar}" if one.metavar and one not in arguments else ""
            default = "" if one.default in (None, False, "", ()) or callable(one.default) else f"`{one.default}`"
            rows.append((", ".join(f"`{name}{value}`" for name in names), default, cell(one.help or "")))
        parts.append(_table(("argument or option", "default", "meaning"), rows) if rows else "")
    return "\n\n".join(part for part in parts if part) + "\n"


def client_page() -> str:
    """Write every resource of the client with its methods, and what the answers can do."""
    parts = ["# The client", CLIENT, "## Client", _docstring(Client)]
    for name, resource in vars(Client("http://127.0.0.1:1")).items():
        if name.startswith("_"):
            continue
        parts += [f"## client.{name}", _docstring(type(resource))]
        for method, function in _methods(type(resource)):
            parts += [
                f"### client.{name}.{method} {{#{name}-{method}}}",
                _signature(method, function),
                _docstring(function),
            ]
    parts += ["## Answers", "What the objects can do besides holding fields:"]
    for name in models.__all__:
        known = getattr(models, name)
        for method, function in _methods(known) if inspect.isclass(known) else []:
            parts += [
                f"### {name}.{method} {{#{name.lower()}-{method}}}",
                _signature(method, function),
                _docstring(function),
            ]
    return "\n\n".join(part for part in parts if part) + "\n"


def errors_page() -> str:
    """Write the errors of API and client, the exit codes, the warnings of imports and the types of events."""
    tree = sorted({(one.status, one.code): one for one in _below(GapcastError)}.items())
    rows = [(f'<a id="{code}"></a>`{code}`', str(status), cell(inspect.getdoc(one))) for (status, code), one in tree]
    parts = [
        "# Errors, exit codes and events",
        ERRORS,
        "## Errors of the API",
        _table(("code", "status", "meaning"), rows),
    ]
    raised = [one for one in _below(client_errors.GapcastError) if not one.__name__.startswith("_")]
    named = [(f"`{one.__name__}`", cell(_first(one))) for one in raised]
    parts += ["## Errors of the client", _table(("class", "meaning"), named)]
    codes = [(f"`{code.value}`", cell(meaning)) for code, meaning in MEANINGS.items()]
    parts += ["## Exit codes of the command", _table(("code", "meaning"), codes)]
    listed = ", ".join(f"`{code}`" for code in get_args(RowWarning.model_fields["code"].annotation))
    parts += ["## Warnings of an import", f"{inspect.getdoc(RowWarning)} {listed}."]
    kinds = sorted({one.type: one for one in _below(events.EventData) if "type" in vars(one)}.items())
    types = [
        (f"`{kind}`", ", ".join(f"`{field}`" for field in one.model_fields), cell(_first(one))) for kind, one in kinds
    ]
    parts += ["## Events", _table(("type", "data", "meaning"), types)]
    return "\n\n".join(parts) + "\n"


def _below(root: type) -> Iterator[Any]:
    yield root
    for one in root.__subclasses__():
        yield from _below(one)


def _first(of: object) -> str:
    return (inspect.getdoc(of) or "").partition("\n\n")[0]


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, one in command.commands.items():
        if one.hidden:
            continue
        if hasattr(one, "commands"):
            yield from _commands(one, (*path, name))
        else:
            yield (*path, name), one


def _argument(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    shown = f"{name}..." if argument.nargs != 1 else name
    return shown if argument.required else f"[{shown}]"


def _methods(of: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Find the methods that we have written: not those of pydantic or of `object`."""
    for kind in reversed(of.__mro__):
        if not kind.__module__.startswith("gapcast.") or kind.__module__.startswith("gapcast.contract"):
            continue
        for name, value in vars(kind).items():
            if not name.startswith("_") and inspect.isfunction(value) and getattr(of, name) is value and value.__doc__:
                yield name, value


def _signature(name: str, function: Callable[..., Any]) -> str:
    """Write a signature as its source has it, which is shorter than what the types resolve to."""
    source = textwrap.dedent(inspect.getsource(function))
    head = source[source.index("def ") :].partition('"""')[0].strip().removeprefix("def ").removesuffix(":")
    return f"```python\n{re.sub(r'self,? *', '', head, count=1)}\n```"


def _prose(text: str) -> str:
    """Write help or a docstring's paragraphs; its `*` and `<` are not markup."""
    return "\n\n".join(cell(part) for part in text.replace("\b", "").split("\n\n"))


def _docstring(of: object) -> str:
    """Write a docstring: its sections as lists."""
    parts: list[str] = []
    for block in (inspect.getdoc(of) or "").split("\n\n"):
        head, _, rest = block.partition("\n")
        if not SECTION.match(head):
            parts.append(cell(block))
            continue
        lines = re.sub(r"\n\s{2,}", " ", textwrap.dedent(rest)).splitlines()
        items = [re.sub(r"^(\*{0,2}\w+): ", r"`\1`: ", line) for line in lines]
        parts.append(f"**{head}**\n\n" + "\n".join(f"- {cell(item)}" for item in items))
    return "\n\n".join(parts)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, tuple("---" for _ in head), *rows])
