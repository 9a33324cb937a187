"""YAML and JSON read with the line of every field, and with a sentence about each fault.

YAML 1.1 reads `1e-5` and `on` in ways that nobody means; numbers, true and false are those of YAML 1.2 here.
"""

import json
import math
import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gapcast.cli.texts import Fault, Text
from gapcast.cli.yaml_faults import json_fault, yaml_fault

TAG = "tag:yaml.org,2002:"
PLAIN_VALUES = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("timestamp", r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?", "0123456789"),
    ("merge", r"<<", "<"),
)

TOO_DEEP = Text(None, {}, [Fault(None, "", "is nested too deeply.")])


class Loader(yaml.SafeLoader):
    """A reader of YAML whose numbers, true and false are those of YAML 1.2."""


Loader.yaml_implicit_resolvers = {}  # those of YAML 1.1
for kind, pattern, first in PLAIN_VALUES:
    Loader.add_implicit_resolver(
        TAG + kind, re.compile(f"^(?:{pattern})$"), [*first, *([""] if kind == "null" else [])]
    )


def read_yaml(text: str) -> Text:
    """Read a YAML document."""
    try:
        node = yaml.compose(text, Loader)
        walk = _Walk()
        return Text(None if node is None else walk.value(node, ""), walk.lines, walk.faults)
    except yaml.YAMLError as error:
        return Text(None, {}, [yaml_fault(error, text)])
    except RecursionError:
        return TOO_DEEP


def read_yaml_documents(text: str) -> list[Text]:
    """Read each document of a YAML text, but for empty ones; a document's own line stands under the place ``."""
    found = []
    try:
        for node in yaml.compose_all(text, Loader):
            walk = _Walk()
            walk.lines[""] = node.start_mark.line + 1
            found.append(Text(walk.value(node, ""), walk.lines, walk.faults))
    except yaml.YAMLError as error:
        return [Text(None, {}, [yaml_fault(error, text)])]
    except RecursionError:
        return [TOO_DEEP]
    return [one for one in found if one.value is not None or one.faults] or [Text(None, {}, [])]


def read_json(text: str) -> Text:
    """Read a JSON document; its lines are those that the same text has as YAML."""
    try:
        value = json.loads(text, parse_constant=float)  # the walk finds NaN with its line
        node = yaml.compose(text.replace("\t", " "), Loader)  # no text of JSON holds a tab
        walk = _Walk(json=True)
        if node is not None:
            walk.value(node, "")
    except json.JSONDecodeError as error:
        return Text(None, {}, [json_fault(error)])
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return Text(None, {}, [Fault(None, "", f"is JSON that Gapcast cannot read: {error}.")])
    return Text(value, walk.lines, walk.faults)


class _Walk:
    """One walk through the nodes of a document."""

    def __init__(self, *, json: bool = False) -> None:
        self.lines: dict[str, int] = {}
        self.faults: list[Fault] = []
        self._json = json
        self._open: list[Node] = []

    def value(self, node: Node, field: str) -> Any:  # noqa: ANN401
        """Return the value of a node, and note the lines and faults below it."""
        if isinstance(node, ScalarNode):
            return self._scalar(node, field)
        if node in self._open:
            self._fault(node, field, "refers to itself. Write it out.")
            return None
        if node.tag not in {f"{TAG}map", f"{TAG}seq"}:
            self._fault(node, field, f"expected plain YAML, got the tag {_short(node.tag)}. Leave it out.")
        self._open.append(node)
        value = self._mapping(node, field) if isinstance(node, MappingNode) else self._sequence(node, field)
        self._open.pop()
        return value

    def _mapping(self, node: MappingNode, field: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for key, inner in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                self._fault(
                    key, field, "expected a name before the colon, got a list or a mapping. Quote a text with {."
                )
                continue
            if key.tag == f"{TAG}merge":
                merged = self._merged(inner, field) | merged
                continue
            name = key.value
            place = f"{field}.{name}" if field else name
            if not name:
                self._fault(key, field, "expected a name before the colon, got nothing. Add it.")
            elif name in seen:
                first = seen[name]
                both = f"in line {first} and again in line {line}" if first != line else f"twice in line {line}"
                self._fault(key, place, f"appears {both}. Leave one of them out.")
            seen.setdefault(name, line)
            self.lines[place] = line
            values[name] = self.value(inner, place)
        return merged | values

    def _merged(self, node: Node, field: str) -> dict[str, Any]:
        parts = node.value if isinstance(node, SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in reversed(parts):
            if isinstance(part, MappingNode):
                merged |= self.value(part, field)
            else:
                self._fault(part, field, "expected a mapping after <<, got something else.")
        return merged

    def _sequence(self, node: Node, field: str) -> list[Any]:
        items = []
        for index, inner in enumerate(node.value):
            place = f"{field}.{index}" if field else str(index)
            self.lines[place] = inner.start_mark.line + 1
            items.append(self.value(inner, place))
        return items

    def _scalar(self, node: ScalarNode, field: str) -> Any:  # noqa: ANN401
        kind, text = node.tag.removeprefix(TAG), node.value
        if kind == "str" and self._json and node.style is None:  # NaN and Infinity, which Python's reader lets pass
            kind = "constant"
        try:
            return self._plain(kind, text)
        except ValueError as error:
            self._fault(node, field, str(error))
            return None

    @staticmethod
    def _plain(kind: str, text: str) -> Any:  # noqa: ANN401
        digits = text.replace("_", "")
        match kind:
            case "str" | "merge":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                try:
                    return int(digits, 0 if digits[:2] in {"0o", "0x"} else 10)
                except ValueError:
                    raise ValueError(f"expected a whole number, got {text[:40]!r}.") from None
            case "float" if re.search(r"\d", digits):
                number = float(digits)
                if math.isfinite(number):
                    return number
            case "timestamp":
                raise ValueError(f"expected a text or a number, got the date {text}. Put it in quotes.")
            case "float" | "constant":
                pass
            case _:
                raise ValueError(f"expected plain YAML, got the tag {_short(kind)}. Leave it out.")
        raise ValueError(f"expected a finite number, got {text}.")

    def _fault(self, node: Node, field: str, message: str) -> None:
        self.faults.append(Fault(node.start_mark.line + 1, field, message))


def _short(tag: str) -> str:
    return tag.replace(TAG, "!!") if tag.startswith((TAG, "!")) else f"!!{tag}"
