"""Curves as people have them, a column a step (`accuracy@30`) or accuracies, into looks of improvements; pure.

A look without a standard error gets one that is assumed from problems and rollouts, as an improvement does.
"""

import re
from typing import Any

from gapcast.contract.base import FieldError
from gapcast.contract.observations import MOST_LOOKS
from service.law import paired
from service.observations.accuracies import number, share

Row = dict[str, Any]

COLUMN = re.compile(r"(accuracy|improvement|se)@([1-9]\d{0,8})")
"""of a step: the accuracy there, or what it is more than before, and the improvement's standard error"""


def with_curve(row: Row) -> Row:
    """Return a row whose curve is a list of improvements with standard errors, whatever way it was sent.

    Raises:
        FieldError: a value is none, or what is needed to make an improvement of it is missing.
    """
    columns = {name: found for name in row if "@" in name and (found := COLUMN.fullmatch(name))}
    if columns:
        if row.get("curve") is not None:
            raise FieldError(next(iter(columns)), "gives the curve a second time. Leave it or `curve` out.")
        looks = _of_columns({name: (found[1], int(found[2])) for name, found in columns.items()}, row)
    elif isinstance(row.get("curve"), list) and all(isinstance(look, dict) for look in row["curve"]):
        looks = [({**look}, f"curve.{index}", "") for index, look in enumerate(row["curve"])]
    else:
        return row
    if len(looks) > MOST_LOOKS:
        raise FieldError("curve", f"expected at most {MOST_LOOKS} looks, got {len(looks)}.")
    whole = [_look(row, look, place, at) for look, place, at in looks]
    return {name: value for name, value in row.items() if name not in columns} | {"curve": whole or None}


def _of_columns(columns: dict[str, tuple[str, int]], row: Row) -> list[tuple[Row, str, str]]:
    """The looks of a row's columns, in order of step; an empty cell is no look."""
    by_step: dict[int, Row] = {}
    for name, (part, step) in columns.items():
        if row[name] is not None:
            by_step.setdefault(step, {"step": step})[part] = row[name]
    found = []
    for step, look in sorted(by_step.items()):
        if "accuracy" not in look and "improvement" not in look:
            raise FieldError(f"se@{step}", f"belongs to accuracy@{step}. Add that, or leave it out.")
        found.append((look, "", f"@{step}"))
    return found


def _look(row: Row, look: Row, place: str, at: str) -> Row:
    """One look as the contract has it; `place` and `at` are around the name of its fields, such as `accuracy@30`."""

    def name(part: str) -> str:
        return f"{place}.{part}" if place else f"{part}{at}"

    if look.get("accuracy") is not None:
        if look.get("improvement") is not None:
            raise FieldError(name("accuracy"), f"says what {name('improvement')} says. Leave one of them out.")
        baseline = _baseline(row)
        if baseline is None:
            raise FieldError(
                name("accuracy"), "needs the accuracy before training. Add baseline, or send improvements."
            )
        look["improvement"] = share(name("accuracy"), look.pop("accuracy")) - baseline
    elif at:
        look["improvement"] = number(name("improvement"), look["improvement"])
    if look.get("se") is None and isinstance(look.get("improvement"), int | float):
        look["se"] = _assumed(row, float(look["improvement"]), name("se"))
    elif at:
        look["se"] = number(name("se"), look["se"])
    return {field: value for field, value in look.items() if value is not None}


def _baseline(row: Row) -> float | None:
    """As sent, else the mean of the counts before training; the row itself is checked later."""
    sent = row.get("baseline")
    if sent is not None:
        return share("baseline", sent)
    for part, arm in (("improvement", "before"), ("gap", "student")):
        measured = row.get(part)
        counts = measured.get(arm) if isinstance(measured, dict) else None
        if isinstance(counts, list) and counts and isinstance(measured, dict):
            return (
                sum(number(f"{part}.{arm}", count) for count in counts) / len(counts) / _size(measured, "rollouts", 1)
            )
    return None


def _assumed(row: Row, improvement: float, param: str) -> float:
    measured = row.get("improvement")
    part: Row = measured if isinstance(measured, dict) else {}
    counts = part.get("before")
    problems = len(counts) if isinstance(counts, list) else _size(part, "problems", 0)
    rollouts = _size(part, "rollouts", 0)
    if problems < 2 or rollouts < 1:
        raise FieldError(
            param,
            "a look needs its standard error. Add it, or improvement.problems and improvement.rollouts to assume one "
            "from.",
        )
    baseline = _baseline(row)
    return float(paired.assumed_components(baseline or 0.0, improvement).measured_variance(problems, rollouts) ** 0.5)


def _size(part: Row, name: str, without: int) -> int:
    value = part.get(name)
    return int(number(f"improvement.{name}", value)) if value is not None else without
