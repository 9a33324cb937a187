"""The sentence about a text that is not YAML or not JSON."""

import json
import re

import yaml
from yaml.reader import ReaderError

from gapcast.cli.texts import Fault

NO_SPACE = re.compile(r"\s*(?:- )?([A-Za-z_][\w-]*):(?=[^\s/])")
"""a name and its colon without the space that YAML needs after it; an address such as http://host is none"""


SENTENCES = (
    (r"found character '\\t'", "expected spaces, got a tab. Indent with spaces."),
    (
        r"found character '(.)'",
        "expected a value, got the character {0}, which cannot begin one. Put the text in quotes.",
    ),
    (
        r"mapping values are not allowed",
        "expected one `name: value` on the line, got a second colon. Put a text with a colon in quotes, or indent the "
        "fields of one mapping equally.",
    ),
    (r"expected <block end>", "expected the indentation of the lines above, got another. Indent fields equally."),
    (
        r"expected ',' or '(.)'",
        "expected , or {0} after an item of what opens in line {opened}. Separate its items with commas, and close it "
        "with {0}.",
    ),
    (
        r"unexpected end of stream",
        "expected the quotation mark that closes the text of line {opened}, got the end of the file. Add it.",
    ),
    (
        r"unexpected document separator",
        "expected the quotation mark that closes the text of line {opened}, got ---. Add it.",
    ),
    (r"undefined alias '?([^']*)'?", "the alias *{0} is not defined. Put a text that begins with * in quotes."),
    (r"duplicate anchor '?([^';]*)'?", "the anchor &{0} appears twice. Rename one of them."),
    (r"another document", "expected one configuration, got a second one after ---. Leave one of them out."),
    (r"expected alphabetic or numeric", "expected a name after & or *, got none. Put the text in quotes."),
    (
        r"unknown escape character '(.)'",
        "expected an escape that YAML knows, got \\{0}. Put the text in single quotes.",
    ),
    (r"sequence entries are not allowed", "expected a value, got a list item. Begin the list on the next line."),
)
"""What PyYAML finds, as a regular expression, and our sentence about it."""

JSON_SENTENCES = {
    "Expecting property name enclosed in double quotes": "expected a name in double quotes, got {got}.",
    "Expecting ',' delimiter": "expected a comma, got {got}.",
    "Expecting ':' delimiter": "expected a colon after the name, got {got}.",
    "Expecting value": "expected a value, got {got}.",
    "Extra data": "expected the end of the file, got {got}.",
    "Invalid control character at": "expected a text on one line, got a line break or a tab in it. Write \\n or \\t.",
    "Unterminated string starting at": "expected the quotation mark that closes the text, got the end of the line.",
    "Illegal trailing comma before end of object": "expected a name after the comma, got }}. Leave the comma out.",
    "Illegal trailing comma before end of array": "expected a value after the comma, got ]. Leave the comma out.",
}


def yaml_fault(error: yaml.YAMLError, text: str) -> Fault:
    """Return what is wrong with a text that PyYAML cannot read."""
    if isinstance(error, ReaderError):
        line = text[: error.position].count("\n") + 1
        return Fault(line, "", f"expected text, got the character U+{ord(text[error.position]):04X}. Delete it.")
    if not isinstance(error, yaml.MarkedYAMLError):
        return Fault(None, "", "expected YAML, got something else.")
    problem = error.problem or ""
    at, began = error.problem_mark or error.context_mark, error.context_mark
    line = at.line + 1 if at else 1
    opened = began.line + 1 if began else line
    if "mapping values" in problem or "could not find expected ':'" in problem:
        return _colon_fault(text, opened, line, problem)
    for pattern, sentence in SENTENCES:
        found = re.search(pattern, problem)
        if found:
            return Fault(line, "", sentence.format(*found.groups(), opened=opened))
    return Fault(line, "", f"expected YAML, got something else: {problem}.")


def _colon_fault(text: str, opened: int, line: int, problem: str) -> Fault:
    """Return the fault of a colon that is missing, too many, or not followed by a space."""
    rows = text.splitlines()
    for number in range(max(1, min(opened, line) - 1), min(line, len(rows)) + 1):
        found = NO_SPACE.match(rows[number - 1])
        if found:
            return Fault(number, "", f"expected a space after {found[1]}:, got none. Add it.")
    if "mapping values" in problem:
        return Fault(line, "", next(sentence for pattern, sentence in SENTENCES if "mapping values" in pattern))
    return Fault(opened, "", "expected `name: value`, got a line without a colon. Add the colon and a space.")


def json_fault(error: json.JSONDecodeError) -> Fault:
    """Return what is wrong with a text that is not JSON."""
    rest = error.doc[error.pos :]
    word = re.match(r"[\w.+-]+|.", rest.strip())
    got = "the end of the file" if word is None else f"`{word[0][:40]}`"
    sentence = JSON_SENTENCES.get(error.msg, f"is not JSON: {error.msg.lower()}.").format(got=got)
    before = error.doc[: error.pos].rstrip()
    if before.endswith(",") and rest.lstrip()[:1] in {"}", "]"}:
        sentence += " Leave the last comma out."
    elif got == "`'`":
        sentence += " Write \" in place of '."
    return Fault(error.lineno, "", sentence)
