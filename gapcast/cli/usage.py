"""Usage errors: faults of options and arguments, in the words of all other faults."""

import re
import sys
from typing import Any

from pydantic import ValidationError
from typer import Context, TyperException
from typer.core import TyperGroup

from gapcast.cli.exits import Exit
from gapcast.cli.terminal import note_json, print_faults, say
from gapcast.contract.accepted import listed
from gapcast.contract.faults import sentence, shown
from gapcast.contract.nearest import did_you_mean, nearest

QUOTED = re.compile(r"'([^']*)'")
HELP = "NoArgsIsHelpError"
"""what typer raises for a group without a command; its message is the help"""
CHOICE = "is not one of"
"""what typer says of a value that is not among an option's choices, which follow it in quotes"""


class Commands(TyperGroup):
    """The root of the commands; it prints the usage errors of all of them."""

    def main(self, *given: Any, **options: Any) -> Any:  # noqa: ANN401
        """Run a command and exit with its code; a usage error is printed as other faults are."""
        standalone = options.get("standalone_mode", True)
        try:
            code = super().main(*given, **options | {"standalone_mode": False})
        except TyperException as error:
            if not standalone:
                raise
            words = given[0] if given else options.get("args")
            note_json("--json" in (sys.argv[1:] if words is None else words))
            _report(error)
            code = error.exit_code
        if not standalone:
            return code
        sys.exit(code if isinstance(code, int) else Exit.DONE)


def _report(error: TyperException) -> None:
    context: Context | None = getattr(error, "ctx", None)
    if type(error).__name__ == HELP:
        if error.message:  # else it is printed already, in boxes
            say(error.message)
    elif context is None:
        print_faults([error.format_message()])
    else:
        print_faults([_told(error, context), f"`{context.command_path} --help` shows what it takes."])


def _told(error: TyperException, context: Context) -> str:
    param, option = getattr(error, "param", None), getattr(error, "option_name", None)
    if param is not None:
        name = str(param.get_error_hint()).strip("'")
        return f"{name if name.startswith('-') else name.upper()}: {_about_value(error)}"
    if option is not None and "No such option" in error.message:
        known = [name for one in context.command.params for name in (*one.opts, *one.secondary_opts)]
        near = nearest(option, known)
        question = f" Did you mean {near}?" if near is not None else ""
        return f"{option}: is not an option of `{context.command_path}`.{question}"
    return error.format_message()


def _about_value(error: TyperException) -> str:
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return error.message or "expected a value, got nothing. Add it."
    row = cause.errors(include_url=False)[0]
    if CHOICE in row["msg"]:
        choices = QUOTED.findall(row["msg"].partition(CHOICE)[2])
        question = did_you_mean(str(row["input"]), choices)
        return f"expected {listed(choices, 'or')}, got {shown(row['input'])}.{question}"
    return sentence(row)
