"""Models, tasks and context kinds for people."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gapcast import described
from gapcast.cli.terminal import print_table
from gapcast.models import ContextKind, Model, Task, TaskProblem
from gapcast.task_words import share_of

MOST_TEXT = 400
"""characters of a problem's text that are shown: enough to recognise it, and three problems fit a screen"""


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def print_models(console: Console, models: list[Model]) -> None:
    """Print models, one a line."""
    table = _table(
        "Model", "Family", "Weights", "Source", "Context", "Chat", "Thinking", "Revision", right=("Weights",)
    )
    for one in models:
        texts = (
            escape(one.name),
            escape(one.family),
            described.weights(one),
            one.source,
            described.context_length(one),
        )
        known = (described.KNOWN[one.chat_template], described.KNOWN[one.thinking])
        table.add_row(*texts, *known, escape(_short(one.revision)))
    print_table(console, table)


def print_model(console: Console, model: Model) -> None:
    """Print one model, with its whole revision."""
    _print_described(console, described.model(model))


def _print_described(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(name, escape(text))
    print_table(console, table, wraps=True)


def _short(revision: str) -> str:
    head, colon, rest = revision.rpartition(":")
    return f"{head}{colon}{rest[:12]}"


def print_tasks(console: Console, tasks: list[Task]) -> None:
    """Print tasks, one a line."""
    table = _table(
        "Task",
        "Source",
        "Verifier",
        "To train",
        "Held out",
        "Hints",
        "Check",
        "Revision",
        right=("To train", "Held out"),
    )
    for one in tasks:
        numbers = (str(one.train_problems), str(one.held_out_problems), str(one.hint_levels))
        texts = (*numbers, share_of(one), escape(_short(one.revision)))
        table.add_row(escape(one.name), one.source, one.verifier, *texts)
    print_table(console, table)


def print_task(console: Console, task: Task) -> None:
    """Print one task."""
    _print_described(console, described.task(task))


def print_problems(console: Console, problems: list[TaskProblem]) -> None:
    """Print problems, each field under its name."""
    for one in problems:
        console.print(f"\n[bold]{one.number}: {escape(one.id)}[/] ({one.split})", highlight=False, soft_wrap=True)
        for name, value in one.problem.items():
            if name not in {"id", "split"}:
                text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                cut = text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]} ..."
                lines = cut.replace("\n", "\n    ")
                console.print(f"  [dim]{name}[/]: {escape(lines)}", highlight=False, soft_wrap=True)


def print_kinds(console: Console, kinds: list[ContextKind]) -> None:
    """Print context kinds, one a line in a pipe."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for one in kinds:
        table.add_row(one.kind, escape(one.description))
    print_table(console, table, wraps=True)


def print_kind(console: Console, kind: ContextKind) -> None:
    """Print one context kind: its options, and an example for a configuration."""
    import yaml

    console.print(f"[bold]{kind.kind}[/]: {escape(kind.description)}", highlight=False, soft_wrap=True)
    table = _table("Option", "Value", "Default", "Meaning")
    rows = list(option_rows(kind.options_schema))
    for row in rows:
        table.add_row(*(escape(text) for text in row))
    if rows:
        print_table(console, table, wraps=True)
    example = yaml.safe_dump({"context": kind.example}, sort_keys=False, allow_unicode=True, width=1000).rstrip()
    console.print(f"\nIn a configuration:\n\n{escape(example)}", highlight=False, soft_wrap=True)


def option_rows(schema: Mapping[str, Any], prefix: str = "", root: Mapping[str, Any] | None = None) -> Iterator[Any]:
    """The options of a JSON Schema: name, values, default, meaning; those of an inner object with a dot."""
    root = root or schema
    for name, field in schema.get("properties", {}).items():
        if "$ref" in field:
            inner = root["$defs"][field["$ref"].rpartition("/")[2]]
            yield from option_rows(inner, f"{prefix}{name}.", root)
            continue
        default = json.dumps(field["default"], ensure_ascii=False) if "default" in field else ""
        yield f"{prefix}{name}", _values(field), default, field.get("description", "")


def _values(field: Mapping[str, Any]) -> str:
    """What a field may be, in words."""
    if "anyOf" in field:
        return " or ".join(_values(one) for one in field["anyOf"])
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    low, high = field.get("minimum"), field.get("maximum")
    between = f" {low} to {high}" if low is not None and high is not None else ""
    return {"boolean": "true | false", "string": "text", "object": "an object"}.get(
        field["type"], f"{field['type']}{between}"
    )
