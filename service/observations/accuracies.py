"""Runs as three accuracies, before, after and the self-teacher's, into a baseline, a gap and an improvement; pure.

Beside them `problems` and `rollouts` hold for gap and improvement alike.
"""

from typing import Any

from gapcast.contract.base import FieldError
from gapcast.contract.faults import shown

Row = dict[str, Any]

ACCURACIES = ("before", "after", "teacher")
"""the student's before training and after it, and the self-teacher's before"""
SIZES = ("problems", "rollouts")
"""of both measurements"""
DIGITS = 12
"""after the point, in differences and hundredths: 0.7 - 0.4 is 0.3, and not 0.29999999999999993"""
MEANT = {"teacher": "recipe.teacher"}
"""what a text in place of an accuracy was probably meant for"""


def with_gains(row: Row) -> Row:
    """Return a row with baseline, gap and improvement, whichever way it says them.

    Raises:
        FieldError: a value is no accuracy, is said twice, is missing, or lacks the one that it is compared with.
    """
    given = {name: row[name] for name in (*ACCURACIES, *SIZES) if row.get(name) is not None}
    if not given:
        return row
    made = {name: value for name, value in row.items() if name not in (*ACCURACIES, *SIZES)}
    accuracy = {name: share(name, given[name]) for name in ACCURACIES if name in given}
    if "before" in accuracy:
        _once("before", "baseline", made.get("baseline"))
        made["baseline"] = accuracy["before"]
    for name, part in (("after", "improvement"), ("teacher", "gap")):
        if name in accuracy:
            measured = _part(made, part)
            _once(name, f"{part}.value", measured.get("value"))
            if made.get("baseline") is None:
                raise FieldError(name, "needs the accuracy before training. Add before.", given[name])
            gain = accuracy[name] - share("baseline", made["baseline"])
            made[part] = measured | {"value": round(gain, DIGITS)}
    for part, name in (("gap", "teacher"), ("improvement", "after")):
        if made.get(part) is None and (part == "gap" or made.get("held_out") is None):
            raise FieldError(name, f"a run needs its {part}. Add {name}, an accuracy, or {part}.value.")
    sizes = {name: given[name] for name in SIZES if name in given}
    for part in ("gap", "improvement"):
        measured = _part(made, part)
        if measured.get("value") is not None:
            made[part] = sizes | {name: value for name, value in measured.items() if value is not None}
    return made


def share(param: str, value: object) -> float:
    """Read a share.

    Raises:
        FieldError: it is none.
    """
    found = number(param, value)
    if not 0 <= found <= 1:
        hint = f" {found / 100:g} is {found:g} per cent." if 1 < found <= 100 else ""
        raise FieldError(param, f"expected a number from 0 to 1, got {found:g}.{hint}", value)
    return found


def number(param: str, value: object) -> float:
    """Read a number, which a table holds as a text.

    Raises:
        FieldError: it is none.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        return float(value)
    except ValueError:
        advice = f" The teacher's rule is {MEANT[param]}." if param in MEANT and isinstance(value, str) else ""
        raise FieldError(param, f"expected a number, got {shown(value)}.{advice}", value) from None


def _once(name: str, other: str, value: object) -> None:
    if value is not None:
        raise FieldError(name, f"says what {other} says. Leave one of them out.")


def _part(row: Row, name: str) -> Row:
    """The part of a row with this name; one that is no mapping is judged later."""
    part = row.get(name)
    return part if isinstance(part, dict) else {}
