"""The laws of one fit: on training problems and on held-out ones, and for each dose of training that runs tell of.

A run of known length counts where its steps end, and by its curve wherever it has been; one of unknown length counts in
every dose. Runs that were tuned otherwise than most of their cell are cells of their own (docs/law.md).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gapcast.contract.base import JsonObject
from gapcast.contract.recipes import recipe_class_of
from service.fits.tuning import cells
from service.law import GapLaw, Observations
from service.law.dose import Dose, Look, by_dose
from service.law.record import Record
from service.observations.repository import AnyRow

VERSION = 5
"""of a fit's record"""
ALIKE = 4
"""the version that is read as this one is; its pool is fitted again all the same"""
ALONE = range(1, 4)
"""versions that are one law's own: of every run at its end, on its training problems"""


class Target(StrEnum):
    """The problems that an improvement is measured on."""

    TRAIN = "train"
    HELD_OUT = "held_out"


class Answering(NamedTuple):
    """The law that answers for a number of steps, and its dose; ``None``: of runs however long they trained."""

    law: GapLaw
    dose: Dose | None


class Laws:
    """The laws of a fit, by target and dose; the one without a dose has every run at its end."""

    def __init__(self, laws: Mapping[tuple[Target, Dose | None], GapLaw]) -> None:
        self._laws = dict(laws)

    @property
    def whole(self) -> GapLaw:
        """Of every run at its end, on the training problems: what a fit is shown by."""
        return self._laws[Target.TRAIN, None]

    def on(self, target: Target) -> GapLaw | None:
        """The law of every run at its end; ``None`` where no run has been measured on such problems."""
        return self._laws.get((target, None))

    def answering(self, target: Target, steps: int) -> Answering | None:
        """The law of a dose, or of the nearest one; ``None`` where no run has been measured on such problems."""
        doses = [dose for of, dose in self._laws if of is target and dose is not None]
        if not doses:
            law = self.on(target)
            return None if law is None else Answering(law, None)
        dose = nearest(doses, steps)
        return Answering(self._laws[target, dose], dose)

    def to_record(self) -> Record:
        """Write them as JSON values; two doses with one law have it once."""
        written: list[Record] = []
        places: dict[int, int] = {}
        for law in self._laws.values():
            if id(law) not in places:
                places[id(law)] = len(written)
                written.append(law.to_record())
        which = [[target, dose, places[id(law)]] for (target, dose), law in self._laws.items()]
        return {"version": VERSION, "laws": written, "of": which}

    @classmethod
    def from_record(cls, record: Record) -> "Laws":
        """Read them again, or the one law of an older fit.

        Raises:
            ValueError: a version that is unknown, or a law's own that is.
        """
        if record["version"] in ALONE:
            return cls({(Target.TRAIN, None): GapLaw.from_record(record)})
        if record["version"] not in (ALIKE, VERSION):
            raise ValueError(f"version: expected {VERSION} or before, got {record['version']}")
        laws = [GapLaw.from_record(one) for one in record["laws"]]
        return cls(
            {(Target(of), None if dose is None else Dose(dose)): laws[place] for of, dose, place in record["of"]}
        )


def nearest(doses: Iterable[Dose], steps: int) -> Dose:
    """Return the dose of a number of steps, or the nearest one that there is."""
    wanted = list(Dose).index(Dose.of(steps))
    return min(doses, key=lambda dose: (abs(list(Dose).index(dose) - wanted), dose))


IMPROVEMENT = {Target.TRAIN: "improvement", Target.HELD_OUT: "held_out_improvement"}
SE = {Target.TRAIN: "improvement_se", Target.HELD_OUT: "held_out_se"}


def fit(table: "Table", lent: "Table | None" = None) -> Laws:
    """Fit every law that a pool's rows tell of, beside those of the pool that it borrows from."""
    laws: dict[tuple[Target, Dose | None], GapLaw] = {}
    for target in Target:
        ends = table.at_ends(target)
        others = lent.at_ends(target) if lent is not None else None
        if target is Target.TRAIN or len(ends) or others:
            whole = laws[target, None] = GapLaw().fit(ends, lent=others)
            for dose, found in table.by_dose(target).items():
                laws[target, dose] = whole if found is None else GapLaw().fit(found, lent=others)
    return Laws(laws)


def fit_answering(table: "Table", lent: "Table | None", steps: int) -> GapLaw:
    """Fit the one law, on training problems, that ``Laws.answering`` of the same rows would return."""
    doses = table.by_dose(Target.TRAIN)
    found = doses[nearest(doses, steps)] if doses else None
    others = lent.at_ends(Target.TRAIN) if lent is not None else None
    return GapLaw().fit(table.at_ends(Target.TRAIN) if found is None else found, lent=others)


class Table:
    """Stored rows by column: attribute by attribute, a million rows take longer to hand over than to fit."""

    def __init__(self, rows: Sequence[AnyRow], names: Sequence[str]) -> None:
        columns = zip(*rows, strict=True) if rows else ((),) * len(names)
        self.column = dict(zip(names, columns, strict=True))
        self.cells, self._leaves = cells(self.column)
        self._steps = np.array(self.column["steps"], dtype=np.float64)
        self._known = {
            target: ~np.isnan(np.array(self.column[name], dtype=np.float64)) for target, name in IMPROVEMENT.items()
        }

    def __len__(self) -> int:
        return len(self._leaves)

    def known(self, target: Target) -> NDArray[np.intp]:
        """Places of the runs that were measured on such problems."""
        return np.flatnonzero(self._known[target])

    def at_ends(self, target: Target) -> Observations:
        """Those runs at their last steps."""
        return self._observations(target, self.known(target), {})

    def by_dose(self, target: Target) -> Mapping[Dose, Observations | None]:
        """Runs by the doses that they tell of; ``None`` for every run at its end."""
        known, steps = self._known[target], self._steps
        told = known & ~np.isnan(steps)
        ending = np.full(len(self), -1)
        ending[told] = np.searchsorted([int(dose) for dose in Dose], steps[told])
        earlier = self._earlier(target, np.flatnonzero(told))
        found: dict[Dose, Observations | None] = {}
        for index, dose in enumerate(Dose):
            here, at = ending == index, earlier.get(dose, {})
            here[list(at)] = True
            if here.any():
                here |= known & ~told
                is_whole = not at and bool((here == known).all())
                found[dose] = None if is_whole else self._observations(target, np.flatnonzero(here), at)
        return found

    def _earlier(self, target: Target, rows: NDArray[np.intp]) -> Mapping[Dose, Mapping[int, Look]]:
        """What curves say of doses before a run's last, by row."""
        found: dict[Dose, dict[int, Look]] = {}
        curves, schedules = self.column["curve"], self.column["schedule"]
        for row in rows.tolist():
            if curves[row]:
                looks = list(_looks(curves[row], target))
                constant = schedules[row] in {None, "constant"}
                for dose, look in by_dose(looks, constant=constant).items():
                    if dose < Dose.of(int(self._steps[row])):
                        found.setdefault(dose, {})[row] = look
        return found

    def _observations(self, target: Target, rows: NDArray[np.intp], at: Mapping[int, Look]) -> Observations:
        """These rows as the law takes them; those of `at` as they were there."""
        column = {
            name: values if len(rows) == len(self) else [values[row] for row in rows]
            for name, values in self.column.items()
        }
        improvement = np.array(column[IMPROVEMENT[target]], dtype=np.float64)
        var = np.square(np.array(column[SE[target]], dtype=np.float64))
        cov = np.array(column["cov"], dtype=np.float64)
        baseline = np.array(column["baseline"], dtype=np.float64)  # null becomes NaN
        collapsed = np.array(column["collapsed"], dtype=np.bool_)
        if target is Target.HELD_OUT:
            cov, held_out = np.zeros(len(rows)), np.array(column["held_out_baseline"], dtype=np.float64)
            baseline = np.where(np.isnan(held_out), baseline, held_out)
        for place, row in enumerate(rows.tolist()) if at else ():
            if row in at:
                _, improvement[place], var[place], cov[place] = at[row]
                collapsed[place] = False  # it went on from there
        recipe_of = {cell: recipe_class_of(cell) if cell is not None else None for cell in set(column["cell"])}
        recipes = [recipe_of[cell] for cell in column["cell"]]
        return Observations(
            gap=column["gap"],
            gap_var=np.square(column["gap_se"]),
            improvement=improvement,
            improvement_var=var,
            cov=cov,
            family=column["family"],
            cell=[self._leaves[row] for row in rows.tolist()],
            baseline=baseline,
            collapsed=collapsed,
            teacher=[recipe.teacher if recipe is not None else None for recipe in recipes],
            divergence=[recipe.divergence if recipe is not None else None for recipe in recipes],
            ids=column["id"],
            context=column["context"],
            model=column["model"],
            gap_spread=np.array(column["gap_spread"], dtype=np.float64),
        )


def _looks(curve: Sequence[JsonObject], target: Target) -> Iterator[Look]:
    """The evaluations on one target, as the law takes them; a run's own rollouts are of no step of their own."""
    for look in curve:
        if look.get("source") == "rollouts":
            continue
        if target is Target.TRAIN:
            yield Look(look["step"], look["improvement"], look["se"] ** 2, look.get("cov", 0.0))
        elif look.get("held_out") is not None:
            yield Look(look["step"], look["held_out"], look["held_out_se"] ** 2)
