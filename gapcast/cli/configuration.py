"""A configuration as a user gives it: a file, `--set`, and what is wrong with them, each fault with its line."""

import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gapcast.cli.terminal import refuse
from gapcast.cli.texts import Fault, Text
from gapcast.contract.faults import shown
from gapcast.contract.nearest import nearest

ENDINGS = {".yaml", ".yml", ".json"}
SOME_FIELDS = "expected a mapping with fields such as model, task and context"
UNSPACED_KEY = re.compile(r"(?:^|\.)([A-Za-z_][\w-]*):\S")
UNSPACED = re.compile(r"[A-Za-z_][\w-]*:\S")


class Configuration(dict[str, Any]):
    """The fields of a configuration, which knows where each of them stands.

    Attributes:
        file: the file's name as people gave it; empty without a file.
        number: its place in a file that holds several, from 1; 0 in another.
        places: by dotted path the line in the file, or the option that set the field.
    """

    def __init__(self, fields: Mapping[str, Any] | None = None, file: str = "") -> None:
        super().__init__(fields or {})
        self.file = file
        self.number = 0
        self.places: dict[str, int | str] = {}

    @property
    def title(self) -> str:
        """Its name, else its file, with its number where the file holds several."""
        name = self.get("name")
        if isinstance(name, str) and name.strip():
            return name.strip()
        return f"{self.file} {self.number}" if self.number else self.file

    def place(self, param: str) -> int | str | None:
        """Return the line or the option of a field, or of the nearest field around it; None if it has none."""
        parts = param.split(".")
        around = (".".join(parts[:depth]) for depth in range(len(parts), 0, -1))
        # a mapping that `--set` has made on its way has no place of its own
        inside = (path for path in self.places if path.startswith(f"{param}."))
        return next((self.places[path] for path in (*around, *inside) if path in self.places), None)

    def told(self, param: str, message: str) -> str:
        """Return the line to print about a field: `config.yaml:7: recipe.steps: expected ...`."""
        place = self.place(param)
        unspaced = UNSPACED_KEY.search(param) if message.startswith("is not a") else None
        if unspaced is not None:
            message = f"expected a space after {unspaced[1]}:, got none. Add it."
        elif "expected a mapping" in message and UNSPACED.match(str(_at(self, param.split(".")))):
            message += " Put a space after the colon."
        named = message if param in {"", "body"} else f"{param}: {message}"
        if isinstance(place, int):
            return f"{self.file}:{place}: {named}"
        if place is not None:
            return f"{place}: {message if place.rpartition(' ')[2] in {param, place} else named}"
        return f"{self.file}: {named}" if self.file else named

    def refusals(self, faults: Iterable[tuple[str, str]]) -> list[str]:
        """Return the lines to print about fields and what is wrong with them, in the order of the file."""

        def line(fault: tuple[str, str]) -> int:
            place = self.place(fault[0])
            return place if isinstance(place, int) else 0

        return [self.told(*fault) for fault in sorted(faults, key=line)]

    def named_by(self, options: Mapping[str, str]) -> None:
        """Note which options of the command set which fields, so that a fault names the option."""
        self.places |= options

    def set(self, path: str, value: Any) -> None:  # noqa: ANN401
        """Set a field by its dotted path, and make the mappings on the way that are missing.

        Raises:
            ValueError: the path goes through something that does not have fields.
        """
        *way, last = path.split(".")
        here: Any = self
        for depth, part in enumerate(way, start=1):
            key = self._key(here, part, way[: depth - 1])
            if isinstance(here, dict) and here.get(part) is None:
                here[part] = {}
            here = here[key]
        here[self._key(here, last, way)] = value
        self.places = {at: place for at, place in self.places.items() if not f"{at}.".startswith(f"{path}.")}
        self.places[path] = f"--set {path}"

    def refuse_unsent(self, command: str, body: Mapping[str, Any], renamed: Collection[str] = ()) -> None:
        """Refuse each `--set` of a field that the command's request does not hold, as it would have no effect.

        A file may have such fields: one file serves every command.

        Args:
            command: `gapcast probe`.
            body: the request.
            renamed: dotted paths that the request holds under other names.

        Raises:
            typer.Exit: with code 2.
        """
        paths = [path for path, place in self.places.items() if place == f"--set {path}"]
        unsent = [
            (path, ".".join(map(str, leaf)))
            for path in paths
            for leaf in _leaves(tuple(path.split(".")), _at(self, path.split(".")))
            if ".".join(map(str, leaf)) not in renamed and _at(body, leaf) is None
        ]
        if unsent:
            refuse([f"--set {path}: `{command}` does not use the field {leaf}. Leave it out." for path, leaf in unsent])

    def _key(self, here: Any, part: str, way: Sequence[str]) -> Any:  # noqa: ANN401
        """Return the key of one step of a path."""
        if isinstance(here, dict):
            return part
        name = ".".join(way)
        if not isinstance(here, list):
            place = self.place(name)
            at = f" ({self.file}:{place})" if isinstance(place, int) else ""
            raise ValueError(f"expected a mapping at {name}, got {shown(here)}{at}. Set {name} itself.")
        if not part.isdecimal() or int(part) >= len(here):
            indices = f"an index from 0 to {len(here) - 1}" if len(here) > 1 else "the index 0" if here else "no index"
            raise ValueError(f"expected {indices} in the list {name}, got {part!r}. Or set {name} itself.")
        return int(part)


def _at(value: Any, way: Sequence[Any]) -> Any:  # noqa: ANN401
    """Return what stands at a place inside a value; None if nothing does."""
    for part in way:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and str(part).isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _leaves(place: tuple[Any, ...], value: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Yield the place of every value that is set inside a value: of a mapping's fields, else its own."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves((*place, name), inner)
    elif value is not None:
        yield place


class Configurations(list[Configuration]):
    """Several configurations that are sent as one list."""

    def refusals(self, faults: Iterable[tuple[str, str]]) -> list[str]:
        """Return the lines to print about fields, each named by its place in the list (`3.context.kind`)."""
        of: dict[int, list[tuple[str, str]]] = {}
        lines = []
        for param, message in faults:
            index, _, field = param.partition(".")
            if index.isdecimal() and int(index) < len(self):
                of.setdefault(int(index), []).append((field, message))
            else:
                lines.append(message if param in {"", "body"} else f"{param}: {message}")
        lines += [line for index in sorted(of) for line in self[index].refusals(of[index])]
        return [*dict.fromkeys(lines)]  # an option that does not fit does not fit any of them


class _Part(NamedTuple):
    """A configuration that was read, and what is wrong with its text."""

    configuration: Configuration
    faults: Sequence[Fault]


def read_configuration(path: Path | None, settings: Sequence[str] | None = None) -> Configuration:
    """Read a YAML or JSON file that holds a mapping, and set fields on top; `-` is standard input, None no file.

    Raises:
        typer.Exit: with code 2, after every fault is printed.
    """
    from gapcast.cli.yaml_reading import read_yaml

    if path is None:
        part = _part("", Text({}, {}, []))
    else:
        part = _part(_name(path), _read(path, lambda text: [read_yaml(text)])[0])
    return _checked([part], settings)[0]


def read_configurations(paths: Sequence[Path], settings: Sequence[str] | None = None) -> Configurations:
    """Read all configurations of some YAML or JSON files, and set fields on top of each; `-` is standard input.

    A file holds a mapping, a list of mappings, or several YAML documents of these.

    Raises:
        typer.Exit: with code 2, after every fault is printed.
    """
    return _checked([part for path in paths for part in _parts(path)], settings)


def _checked(parts: Sequence[_Part], settings: Sequence[str] | None) -> Configurations:
    lines: list[str] = []
    for configuration, faults in parts:
        lines += [_line(configuration.file, fault) for fault in sorted(faults, key=lambda fault: fault.line or 0)]
    for part in parts:
        for setting in settings or []:
            lines += _apply(part.configuration, setting)
    if lines:
        refuse([*dict.fromkeys(lines)])  # a setting that does not fit does not fit any of them
    return Configurations(part.configuration for part in parts)


def _parts(path: Path) -> list[_Part]:
    """Return the configurations of a file; several are numbered."""
    from gapcast.cli.yaml_reading import read_yaml_documents

    parts = [_part(_name(path), text) for document in _read(path, read_yaml_documents) for text in _items(document)]
    if len(parts) > 1:
        for number, part in enumerate(parts, start=1):
            part.configuration.number = number
    return parts


def _items(document: Text) -> list[Text]:
    """Return each item of a list as a text of its own; anything else as it is."""
    if not isinstance(document.value, list) or not document.value:
        return [document]
    if document.faults:
        faults = [fault._replace(field=fault.field.partition(".")[2]) for fault in document.faults]
        return [document._replace(faults=faults)]
    texts = []
    for index, item in enumerate(document.value):
        start = f"{index}."
        lines = {place.removeprefix(start): line for place, line in document.lines.items() if place.startswith(start)}
        texts.append(Text(item, {"": document.lines[str(index)], **lines}, []))
    return texts


def _part(name: str, text: Text) -> _Part:
    faults = text.faults
    if not faults and not isinstance(text.value, dict):
        faults = [_not_a_mapping(text.value, text.lines.get("", 1))]
    configuration = Configuration(text.value if isinstance(text.value, dict) else {}, name)
    configuration.places |= {place: line for place, line in text.lines.items() if place}
    return _Part(configuration, faults)


def _name(path: Path) -> str:
    return "standard input" if str(path) == "-" else str(path)


def _read(path: Path, read_yaml: Callable[[str], list[Text]]) -> list[Text]:
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        message = f"expected UTF-8, got the byte 0x{content[error.start]:02x}. Save the file as UTF-8."
        return [Text(None, {}, [Fault(line, "", message)])]
    except OSError as error:
        return [Text(None, {}, [Fault(None, "", _unreadable(path, error))])]
    from gapcast.cli.yaml_reading import read_json

    if not text.strip():
        return [Text(None, {}, [Fault(None, "", f"{SOME_FIELDS}, got an empty file. Write them into it.")])]
    return [read_json(text)] if path.suffix == ".json" else read_yaml(text)


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return "expected a file, got a folder. Name a YAML or JSON file in it."
    if not isinstance(error, FileNotFoundError):
        return f"cannot be read: {error.strerror}."
    files = path.parent.iterdir() if path.parent.is_dir() else []
    beside = {file.stem: file for file in files if file.suffix in ENDINGS}
    near = nearest(path.stem, beside)
    advice = (
        f"Did you mean {beside[near]}?" if near is not None else "Name a YAML or JSON file, or - for standard input."
    )
    return f"does not exist. {advice}"


def _not_a_mapping(value: Any, line: int) -> Fault:  # noqa: ANN401
    advice = "Write `name: value` lines."
    if isinstance(value, str) and UNSPACED.match(value):
        advice = "Put a space after the colon."
    got = "nothing" if value is None else shown(value)
    return Fault(line, "", f"{SOME_FIELDS}, got {got}. {advice}")


def _line(file: str, fault: Fault) -> str:
    place = file if fault.line is None else f"{file}:{fault.line}"
    return f"{place}: {fault.field}: {fault.message}" if fault.field else f"{place}: {fault.message}"


def _apply(configuration: Configuration, setting: str) -> list[str]:
    """Apply one `--set FIELD=VALUE`, and return what is wrong with it."""
    from gapcast.cli.yaml_reading import read_yaml

    path, equals, text = setting.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        example = f"{path}=VALUE" if path and not equals and all(path.split(".")) else "recipe.steps=300"
        return [f"--set: expected FIELD=VALUE, got {shown(setting)}. Write --set {example}."]
    read = read_yaml(text)
    if not read.faults:
        try:
            configuration.set(path, read.value)
        except ValueError as error:
            return [f"--set {path}: {error}"]
    return [f"--set {path}: {f'{fault.field}: ' if fault.field else ''}{fault.message}" for fault in read.faults]
