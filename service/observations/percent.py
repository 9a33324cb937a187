"""Rows whose accuracies are in percent, into shares, and the check that they were; pure."""

import math
from collections.abc import Iterator
from typing import Any

from gapcast.contract.base import FieldError
from gapcast.contract.observations import RowWarning
from service.errors import InvalidFile
from service.observations.accuracies import ACCURACIES, DIGITS
from service.observations.curves import COLUMN

Row = dict[str, Any]

SHARES = ("baseline", *ACCURACIES)
"""fields of a row that are accuracies"""
PARTS = ("gap", "improvement", "held_out")
OF_PART = {"baseline": 0.0, "value": -100.0, "se": 0.0}
"""the least that these fields of a part may be"""
OF_LOOK = {"accuracy": 0.0, "improvement": -100.0, "held_out": -100.0, "se": 0.0, "held_out_se": 0.0}
VARIANCES = ("cov", "gap_spread")
"""in percent times percent"""
LEAST_ERROR = 0.1
"""percent: an accuracy with a smaller standard error took a quarter of a million samples"""


class Percent:
    """Divides rows, and remembers how large their values were."""

    def __init__(self) -> None:
        self._most: dict[str, float] = {}

    def in_shares(self, row: Row) -> Row:
        """Return a row in shares; what is no number is left for its own check.

        Raises:
            FieldError: a value is not a percentage.
        """
        made = dict(row)
        for name, value in row.items():
            step = COLUMN.fullmatch(name)
            if name in SHARES:
                made[name] = self._share(name, value, 0.0)
            elif name in VARIANCES:
                number = _number(value)
                made[name] = value if number is None else number / 10_000
            elif step is not None:
                made[name] = self._share(name, value, OF_LOOK[step[1]])
            elif name in PARTS and isinstance(value, dict):
                made[name] = self._part(name, value, OF_PART)
            elif name == "curve" and isinstance(value, list):
                made[name] = [
                    self._part(f"curve.{index}", look, OF_LOOK) if isinstance(look, dict) else look
                    for index, look in enumerate(value)
                ]
        return made

    def _part(self, at: str, part: Row, least: dict[str, float]) -> Row:
        return {
            name: self._share(f"{at}.{name}", value, least[name]) if name in least else value
            for name, value in part.items()
        }

    def _share(self, param: str, value: object, least: float) -> object:
        number = _number(value)
        if number is None:
            return value
        if not least <= number <= 100:
            raise FieldError(param, f"expected a percentage from {least:g} to 100, got {number:g}.", value)
        self._most[param] = max(self._most.get(param, 0.0), abs(number))
        return round(number / 100, DIGITS)

    def require(self) -> None:
        """Refuse a file of which no value can be a percentage.

        Raises:
            InvalidFile: none of its accuracies and differences is above 1.
        """
        values = [most for param, most in self._most.items() if not _is_error(param)]
        if values and 0 < max(values) <= 1:
            raise InvalidFile(
                f"percent: expected accuracies in percent, got none above 1 (the largest is {max(values):g}), so they "
                "look like shares. Leave percent out.",
                param="percent",
            )

    def warnings(self) -> Iterator[RowWarning]:
        """Name the fields that look like shares beside others that do not."""
        for param, most in self._most.items():
            if 0 < most <= (LEAST_ERROR if _is_error(param) else 1):
                message = (
                    f"{param}: no value is above {most:g}, so they look like shares, and were read as percent. If they "
                    "are shares, exclude these rows and send them in one unit."
                )
                yield RowWarning(code="looks_like_shares", message=message, rows=[])


def _is_error(param: str) -> bool:
    return param.endswith(("se", "_se")) or param.startswith("se@")


def _number(value: object) -> float | None:
    """A finite number, also in a text with a percent sign; else None."""
    if isinstance(value, str):
        value = value.strip().removesuffix("%")
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None
