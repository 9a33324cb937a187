"""What can be asked of a fit: its curve, its residuals, slopes by model size, and how past predictions turned out."""

from collections.abc import Sequence
from threading import Condition
from typing import NamedTuple, TypedDict

import numpy as np
from cachetools import LRUCache, cached
from sqlalchemy.orm import Session

from gapcast.contract.fits import (
    ContextEffect,
    ContextEffects,
    ContextSpread,
    Curve,
    FamilyScaling,
    Group,
    Homogeneity,
    Residual,
    Residuals,
    Scaling,
    SizeSlope,
    Trend,
)
from gapcast.contract.lists import ResidualQuery
from gapcast.contract.nearest import did_you_mean
from service.catalog import service as catalog
from service.fits.laws import Target
from service.fits.models import Fit
from service.fits.service import law_of, lent_rows, table
from service.kit.errors import InvalidRequest
from service.law import Diagnostics, GapLaw, Key, Observations, Probe, predicting, scaling
from service.listed_models import ModelEntry
from service.observations import repository as observations
from service.observations.repository import AnyRow


class Band(NamedTuple):
    """The range of gaps that a curve spans and its number of points."""

    first: float
    last: float
    points: int


class Runs(TypedDict):
    """The runs that a question to the law is about."""

    teacher: str | None
    divergence: str | None


class Whose(NamedTuple):
    """The runs that a curve is of; a teacher of none is that of most of the family's stored runs."""

    family: str
    cell: str | None
    teacher: str | None
    divergence: str | None

    @classmethod
    def named(cls, family: str, teacher: str | None, divergence: str | None) -> "Whose":
        """The runs of a family under a teacher and divergence.

        Raises:
            InvalidRequest: a divergence without a teacher.
        """
        if divergence is not None and teacher is None:
            raise InvalidRequest("divergence: comes with `teacher`.", param="divergence", value=divergence)
        return cls(family, None, teacher, divergence)

    @classmethod
    def of_cell(cls, law: GapLaw, family: str, cell: str) -> "Whose":
        """The runs of a cell, by the name that the fit shows: with its mode and tuning where they set it apart.

        Raises:
            InvalidRequest: the fit does not have runs of the family in such a cell.
        """
        known = [name for its_family, name, _ in law.leaves_ if its_family == family]
        if cell not in known:
            raise InvalidRequest(
                f"cell: expected a cell of {family[:80]} that the fit has runs of, got {cell[:200]!r}."
                f"{did_you_mean(cell, known)} The fit's `cells` name them all.",
                param="cell",
                value=cell[:200],
            )
        key = law.home(family, cell)
        return cls(family, cell, key.teacher, key.known_divergence)


_CURVES = 64
"""that stay in memory, those that were asked for last"""


def _curve_key(fit: Fit, *asked: object) -> tuple[object, ...]:
    return fit.id, *asked


# as a fit never changes; with contexts as a level one takes seconds
@cached(LRUCache[tuple[object, ...], Curve](_CURVES), key=_curve_key, condition=Condition())
def curve(fit: Fit, whose: Whose, band: Band, level: float, improvement_var: float, baseline: float | None) -> Curve:
    """A family's curve with its confidence band and the prediction band of an improvement at an exactly known gap."""
    law = law_of(fit)
    gaps = np.linspace(band.first, band.last, band.points)
    family, cell, teacher, divergence = whose
    if teacher is None:
        home = law.home(family)
        teacher, divergence = home.teacher, home.known_divergence
    about: Runs = {"teacher": teacher, "divergence": divergence}
    student = law.typical_baseline(family, cell, **about) if baseline is None else baseline
    line = law.curve(family, gaps, cell, level, baseline=student, **about)
    probe = Probe(
        gap=gaps, gap_var=0.0, family=family, cell=cell, baseline=student, improvement_var=improvement_var, **about
    )
    lower, upper = predicting.mixture(law.state_, probe).interval(level)  # drawn where a prediction is refused, too
    return Curve(
        family=family,
        cell=cell,
        teacher_rule=Key.of(teacher, divergence).rule,
        divergence=divergence,
        baseline=student,
        links=law.links(family, cell, **about),
        level=level,
        measurement_se=improvement_var**0.5,
        gap=gaps.tolist(),
        mean=line.mean.tolist(),
        confidence_lower=line.lower.tolist(),
        confidence_upper=line.upper.tolist(),
        # no improvement lies outside [-1, 1], however wide the law's own band
        prediction_lower=np.clip(lower, -1, 1).tolist(),
        prediction_upper=np.clip(upper, -1, 1).tolist(),
    )


class Diagnosed(NamedTuple):
    """The rows of a fit and what the fit says of each."""

    rows: Sequence[AnyRow]
    diagnostics: Diagnostics


_KEPT = 4
"""fits whose rows stay in memory: those that people look at right now"""


def _id(session: Session, fit: Fit) -> str:
    return fit.id


# requests for one fit wait for the first of them; those for other fits do not wait
@cached(LRUCache[str, Diagnosed](_KEPT), key=_id, condition=Condition())
def diagnosed(session: Session, fit: Fit) -> Diagnosed:
    """Fit the rows of a stored fit again: residuals need rows, which no record holds. The last few are kept."""
    rows, found = _trained(session, fit)
    lent = table(lent_rows(session, fit.tenant, fit.summary.lent if fit.summary is not None else []))
    return Diagnosed(rows, GapLaw().fit(found, lent=lent.at_ends(Target.TRAIN)).diagnostics_)


def _trained(session: Session, fit: Fit) -> tuple[Sequence[AnyRow], Observations]:
    """The fit's rows with an improvement on their training problems, and the same as its law takes them."""
    rows = observations.fitted(session, fit.tenant, fit.pool, fit.changes)
    given = table(rows)
    return [rows[place] for place in given.known(Target.TRAIN).tolist()], given.at_ends(Target.TRAIN)


def residuals(session: Session, fit: Fit, wanted: ResidualQuery) -> Residuals:
    """One page of leave-one-out residuals, and what they say of model sizes and context kinds.

    Those are diagnostics and not groups of the law: the published law spans them.
    """
    rows, found = diagnosed(session, fit)
    family, after, ascending = wanted.family, wanted.after, wanted.order == "asc"
    listed = [
        index
        for index, row in enumerate(rows)
        if (family is None or row.family == family)
        and (found.outlier[index] or not wanted.outliers)
        and (found.unusual[index] or not wanted.unusual)
    ]
    if not ascending:
        listed.reverse()
    if after is not None:
        listed = [index for index in listed if (rows[index].id > after if ascending else rows[index].id < after)]
    shown = listed[: wanted.limit]
    names = observations.run_names(session, fit.tenant, [rows[index].id for index in shown])
    data = [_residual(rows[index], names.get(rows[index].id, observations.RunName()), found, index) for index in shown]
    law = law_of(fit)
    return Residuals(
        fit_id=fit.id,
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=len(listed) > wanted.limit,
        outliers=int(found.outlier.sum()),
        unusual=int(found.unusual.sum()),
        curvature_p=None if np.isnan(law.curvature_) else law.curvature_,
        context_kinds=_groups(found, [row.context_kind for row in rows]),
        models=_groups(found, [row.model for row in rows]),
    )


def _residual(row: AnyRow, called: observations.RunName, of: Diagnostics, index: int) -> Residual:
    return Residual(
        id=row.id,
        external_id=called.external_id,
        name=called.name,
        family=row.family,
        cell=row.cell,
        model=row.model,
        context_kind=row.context_kind,
        gap=row.gap,
        improvement=row.improvement,
        expected=row.improvement - float(of.residual[index]),
        residual=float(of.residual[index]),
        standardized=float(of.standardized[index]),
        leverage=float(of.leverage[index]),
        influence=float(of.influence[index]),
        weight=float(of.weight[index]),
        outlier=bool(of.outlier[index]),
        unusual=bool(of.unusual[index]),
    )


def contexts(fit: Fit) -> ContextEffects:
    """How much contexts differ, and by how much each does that the fit has runs of."""
    law = law_of(fit)
    a_family = {key: family for family, key in law.recipes_}
    return ContextEffects(
        fit_id=fit.id,
        spread=[_spread(law, key, family) for key, family in sorted(a_family.items())],
        data=[
            ContextEffect(
                teacher_rule=one.key.rule,
                divergence=one.key.known_divergence,
                family=one.family,
                cell=one.cell,
                context=one.context,
                model=one.model,
                n=one.n,
                effect=one.effect.mean,
                effect_interval=list(one.effect[1:]),
            )
            for one in law.context_effects()
        ],
    )


def _spread(law: GapLaw, key: Key, family: str) -> ContextSpread:
    found = law.context_sd(family, teacher=key.teacher, divergence=key.known_divergence)
    return ContextSpread(
        teacher_rule=key.rule,
        divergence=key.known_divergence,
        contexts_sd=found.mean,
        contexts_sd_interval=list(found[1:]),
    )


def _groups(found: Diagnostics, names: Sequence[str]) -> list[Group]:
    """Mean residual of each group, in its own standard errors, runs that probably collapsed left out."""
    groups = []
    labels = np.array(names, dtype=object)
    for name in sorted(set(names)):
        ours = (labels == name) & ~found.outlier
        n = int(ours.sum())
        if n:
            groups.append(
                Group(
                    name=name,
                    n=n,
                    mean_residual=float(found.residual[ours].mean()),
                    z=float(found.standardized[ours].sum() / n**0.5),
                )
            )
    return groups


def listed_sizes(entries: Sequence[ModelEntry]) -> dict[str, float]:
    """Return the numbers of weights of listed models, by name; `entries` are the settings' models."""
    known = catalog.models(entries)
    return {model.name: float(model.parameters) for model in known if model.parameters is not None}


def scale(session: Session, fit: Fit, entries: Sequence[ModelEntry]) -> Scaling:
    """Slopes by model size within each family (LAW.md: a diagnostic; docs/law.md says what the intervals rest on).

    A row that does not say its model's size has that of the catalog; `entries` are the settings' models.
    """
    rows, found = _trained(session, fit)
    catalogued = listed_sizes(entries)
    parameters = [row.parameters or catalogued.get(row.model) for row in rows]
    law = law_of(fit)
    return Scaling(
        fit_id=fit.id,
        without_parameters=sum(value is None for value in parameters),
        families=[_scaled(one, law) for one in scaling.scaling(found, parameters)] if rows else [],
    )


def _scaled(one: scaling.FamilyScaling, law: GapLaw) -> FamilyScaling:
    key = one.key
    return FamilyScaling(
        family=one.family,
        teacher_rule=key.rule,
        divergence=key.known_divergence,
        linear_weight=law.links(one.family, teacher=key.teacher, divergence=key.known_divergence)["linear"],
        sizes=[SizeSlope(**size._asdict()) for size in one.sizes],
        trend=Trend(**one.trend._asdict()) if one.trend is not None else None,
        homogeneity=Homogeneity(**one.homogeneity._asdict()) if one.homogeneity is not None else None,
    )
