"""What goes in: stored (gap, improvement) points, and the probe whose improvement is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Name = TypeVar("Name", str, "str | None")

TEACHERS = ("frozen", "trust_region", "ema", "live")
DIVERGENCES = ("forward_kl", "reverse_kl", "js")


@dataclass(frozen=True, eq=False, init=False)
class Observations:
    """Stored training runs: N measured (gap, improvement) pairs with their sampling variances.

    Attributes:
        gap: (N,) self-teacher minus student accuracy before training, in [-1, 1].
        gap_var: (N,) sampling variance of ``gap``, in [0, 1].
        improvement: (N,) student accuracy after minus before, in [-1, 1].
        improvement_var: (N,) sampling variance of ``improvement``, in [0, 1].
        cov: (N,) covariance of the two sampling errors; 0 where they share no problem.
        family: N model families.
        cell: N cells (family x task x recipe class), ``None`` where the point hangs on its family directly.
        baseline: (N,) student accuracy before training, in [0, 1]; NaN where unknown.
        baseline_var: (N,) sampling variance of ``baseline``, in [0, 1].
        teacher: N of ``TEACHERS``, ``None`` where unknown. divergence: N of ``DIVERGENCES``, ``None`` where unknown.
        collapsed: (N,) True where the run is known to have collapsed.
        ids: N identifiers, or ``None``.
        context: N keys of what the self-teacher was shown (kind and options, in one string), ``None`` where unknown.
        model: N names of models, ``None`` where unknown. Runs of one cell, context and model are a configuration.
        gap_spread: (N,) variance over problems of the true gap, an estimate that may be negative; NaN where unknown.
    """

    gap: FloatArray
    gap_var: FloatArray
    improvement: FloatArray
    improvement_var: FloatArray
    cov: FloatArray
    family: tuple[str, ...]
    cell: tuple[str | None, ...]
    baseline: FloatArray
    baseline_var: FloatArray
    teacher: tuple[str | None, ...]
    divergence: tuple[str | None, ...]
    collapsed: BoolArray
    ids: tuple[str, ...] | None
    context: tuple[str | None, ...]
    model: tuple[str | None, ...]
    gap_spread: FloatArray

    def __init__(
        self,
        *,
        gap: ArrayLike,
        gap_var: ArrayLike,
        improvement: ArrayLike,
        improvement_var: ArrayLike,
        family: Sequence[str],
        cov: ArrayLike | None = None,
        cell: Sequence[str | None] | None = None,
        baseline: ArrayLike | None = None,
        baseline_var: ArrayLike | None = None,
        teacher: Sequence[str | None] | None = None,
        divergence: Sequence[str | None] | None = None,
        collapsed: ArrayLike | None = None,
        ids: Sequence[str] | None = None,
        context: Sequence[str | None] | None = None,
        model: Sequence[str | None] | None = None,
        gap_spread: ArrayLike | None = None,
    ) -> None:
        """Check and store the columns.

        A baseline without a variance has that of its gap: both rest on the same rollouts of the same problems.

        Raises:
            ValueError: a column has another length, or a value is out of range; names the field and the row.
        """
        n = len(family)
        columns = {
            "gap": _column("gap", gap, n, -1.0, 1.0),
            "gap_var": _column("gap_var", gap_var, n, 0.0, 1.0),
            "improvement": _column("improvement", improvement, n, -1.0, 1.0),
            "improvement_var": _column("improvement_var", improvement_var, n, 0.0, 1.0),
            "cov": _column("cov", np.zeros(n) if cov is None else cov, n, -1.0, 1.0),
            "baseline": _column(
                "baseline", np.full(n, np.nan) if baseline is None else baseline, n, 0, 1, unknown=True
            ),
            "baseline_var": _column("baseline_var", gap_var if baseline_var is None else baseline_var, n, 0.0, 1.0),
            "gap_spread": _column(
                "gap_spread", np.full(n, np.nan) if gap_spread is None else gap_spread, n, -1.0, 1.0, unknown=True
            ),
        }
        _check_cov(columns["cov"], columns["gap_var"], columns["improvement_var"])
        for name, value in columns.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "family", _names("family", family, n))
        object.__setattr__(self, "cell", (None,) * n if cell is None else _names("cell", cell, n, unknown=True))
        object.__setattr__(self, "teacher", _choices("teacher", teacher, n, TEACHERS))
        object.__setattr__(self, "divergence", _choices("divergence", divergence, n, DIVERGENCES))
        object.__setattr__(self, "ids", None if ids is None else _names("ids", ids, n))
        for name, names in (("context", context), ("model", model)):
            object.__setattr__(self, name, (None,) * n if names is None else _names(name, names, n, unknown=True))
        flags = np.zeros(n, dtype=np.bool_) if collapsed is None else np.asarray(collapsed, dtype=np.bool_)
        if flags.shape != (n,):
            raise ValueError(f"collapsed has shape {flags.shape}, family has {n} rows")
        object.__setattr__(self, "collapsed", flags)

    def __len__(self) -> int:
        return len(self.family)

    def regrouped(self, family: Sequence[str]) -> "Observations":
        """Tell the same points of N other families."""
        return Observations(**{**self._columns(), "family": family})

    def take(self, rows: NDArray[np.intp]) -> "Observations":
        """Keep these rows, in this order."""
        return Observations(**{name: _taken(column, rows) for name, column in self._columns().items()})

    @classmethod
    def joined(cls, parts: Sequence["Observations"]) -> "Observations":
        """Put rows one after the other; without ids where a part has none."""
        columns = [part._columns() for part in parts]
        return cls(**{name: _joined([part[name] for part in columns]) for name in columns[0]})

    def _columns(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, eq=False, init=False)
class Probe:
    """One measured gap, or an array of them that broadcast against each other.

    Attributes:
        gap, gap_var: the measured gap and its sampling variance, as in ``Observations``.
        family, cell: whose coefficients apply; an unknown one takes what its level above says.
        baseline: student accuracy before training, NaN where unknown: without it nothing is clipped or refused, and a
            bent link takes the median of the family's stored runs for it.
        baseline_var: its sampling variance, as in ``Observations``.
        teacher, divergence: as in ``Observations``; they say which runs lend strength.
        context, model, gap_spread: as in ``Observations``.
        improvement_var: 0 asks for the latent improvement; > 0 for a future measurement with that variance.
        cov: covariance of the gap's sampling error with that future measurement's; not 0 when they share the
            student's baseline rollouts.
        shape: the broadcast shape; every attribute has it flattened.
    """

    gap: FloatArray
    gap_var: FloatArray
    family: tuple[str, ...]
    cell: tuple[str | None, ...]
    baseline: FloatArray
    baseline_var: FloatArray
    teacher: tuple[str | None, ...]
    divergence: tuple[str | None, ...]
    improvement_var: FloatArray
    cov: FloatArray
    context: tuple[str | None, ...]
    model: tuple[str | None, ...]
    gap_spread: FloatArray
    shape: tuple[int, ...]

    def __init__(
        self,
        *,
        gap: ArrayLike,
        gap_var: ArrayLike,
        family: str | Sequence[str],
        cell: str | Sequence[str | None] | None = None,
        baseline: ArrayLike | None = None,
        baseline_var: ArrayLike | None = None,
        teacher: str | Sequence[str | None] | None = None,
        divergence: str | Sequence[str | None] | None = None,
        improvement_var: ArrayLike = 0.0,
        cov: ArrayLike = 0.0,
        context: str | Sequence[str | None] | None = None,
        model: str | Sequence[str | None] | None = None,
        gap_spread: ArrayLike | None = None,
    ) -> None:
        """Broadcast and check.

        Raises:
            ValueError: shapes do not broadcast, or a value is out of range; names the field and the row.
        """
        given = {
            "gap": gap,
            "gap_var": gap_var,
            "baseline": np.nan if baseline is None else baseline,
            "baseline_var": gap_var if baseline_var is None else baseline_var,
            "improvement_var": improvement_var,
            "cov": cov,
            "gap_spread": np.nan if gap_spread is None else gap_spread,
        }
        said = {"family": family, "cell": cell, "context": context, "model": model}
        said |= {"teacher": teacher, "divergence": divergence}
        numbers = {name: np.asarray(value, dtype=np.float64) for name, value in given.items()}
        words = {name: np.asarray(value, dtype=object) for name, value in said.items()}
        shape = np.broadcast_shapes(*(value.shape for value in (*numbers.values(), *words.values())))
        n = int(np.prod(shape))
        for name, value in numbers.items():
            low = -1.0 if name in ("gap", "cov", "gap_spread") else 0.0
            column, unknown = np.broadcast_to(value, shape).reshape(-1), name in ("baseline", "gap_spread")
            object.__setattr__(self, name, _column(name, column, n, low, 1.0, unknown=unknown))
        _check_cov(self.cov, self.gap_var, self.improvement_var)
        every = {name: np.broadcast_to(value, shape).reshape(-1).tolist() for name, value in words.items()}
        object.__setattr__(self, "family", _names("family", every["family"], n))
        for name in ("cell", "context", "model"):
            object.__setattr__(self, name, _names(name, every[name], n, unknown=True))
        object.__setattr__(self, "teacher", _choices("teacher", every["teacher"], n, TEACHERS))
        object.__setattr__(self, "divergence", _choices("divergence", every["divergence"], n, DIVERGENCES))
        object.__setattr__(self, "shape", shape)

    def __len__(self) -> int:
        return len(self.family)

    def take(self, rows: NDArray[np.intp]) -> "Probe":
        """Keep these of the flattened probes."""
        columns = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "shape"}
        return Probe(**{name: _taken(column, rows) for name, column in columns.items()})


def _column(name: str, value: ArrayLike, n: int, low: float, high: float, *, unknown: bool = False) -> FloatArray:
    column = np.array(value, dtype=np.float64)  # a copy, so that the caller's array can change; None becomes NaN
    if column.shape != (n,):
        raise ValueError(f"{name} has shape {column.shape}, family has {n} rows")
    fine = (column >= low) & (column <= high)
    if unknown:
        fine |= np.isnan(column)
    if not fine.all():
        row = int(np.argmin(fine))
        raise ValueError(f"{name}, row {row}: {column[row]} is not a number from {low:g} to {high:g}")
    return column


def _names(name: str, values: Sequence[Name], n: int, *, unknown: bool = False) -> tuple[Name, ...]:
    names = tuple(values)
    if len(names) != n:
        raise ValueError(f"{name} has {len(names)} rows, family has {n}")
    for row, value in enumerate(names):
        if not (isinstance(value, str) and value) and not (unknown and value is None):
            raise ValueError(f"{name}, row {row}: {value!r} is not a non-empty string")
    return names


def _choices(name: str, values: Sequence[str | None] | None, n: int, known: tuple[str, ...]) -> tuple[str | None, ...]:
    if values is None:
        return (None,) * n
    chosen = tuple(values)
    if len(chosen) != n:
        raise ValueError(f"{name} has {len(chosen)} rows, family has {n}")
    wrong = set(chosen) - {*known, None}
    if wrong:
        row = next(row for row, value in enumerate(chosen) if value in wrong)
        raise ValueError(f"{name}, row {row}: {chosen[row]!r} is none of {', '.join(known)}")
    return chosen


def _taken(column: Any, rows: NDArray[np.intp]) -> Any:  # noqa: ANN401
    if column is None or isinstance(column, np.ndarray):
        return column if column is None else column[rows]
    return tuple(column[row] for row in rows.tolist())


def _joined(columns: list[Any]) -> Any:  # noqa: ANN401
    if any(column is None for column in columns):
        return None
    if isinstance(columns[0], np.ndarray):
        return np.concatenate(columns)
    return tuple(chain.from_iterable(columns))


def _check_cov(cov: FloatArray, gap_var: FloatArray, improvement_var: FloatArray) -> None:
    # rounding of a caller who computes all three from the same differences is forgiven
    fine = cov**2 <= gap_var * improvement_var * (1 + 1e-9)
    if not fine.all():
        row = int(np.argmin(fine))
        raise ValueError(
            f"cov, row {row}: {cov[row]} is larger than gap_var {gap_var[row]} "
            f"and improvement_var {improvement_var[row]} allow"
        )
