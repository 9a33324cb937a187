"""From a search space and a budget to a plan, in words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel
from sqlalchemy.orm import Session

from gapcast.contract.base import Warned
from gapcast.contract.comparisons import COMPARED_AT
from gapcast.contract.predictions import Interval
from gapcast.contract.probes import Difference, ProbeResult
from gapcast.contract.recommendations import (
    Bottleneck,
    Candidate,
    Considered,
    RecommendationRequest,
    Step,
    Unit,
)
from gapcast.words import count, listed, whole_percent
from service import deciding
from service.catalog.service import own_pool
from service.comparisons.configuring import Contestant, contestants, questions
from service.comparisons.rounds import known
from service.deciding import Limits, Outlook, Plan, Planned
from service.deciding.planning.plans import TOLERANCE
from service.deciding.rounds import TAILS
from service.fits.service import Current
from service.forecasts.standing import cell_of
from service.kit.errors import InvalidRequest
from service.recommendations.knowing import measured
from service.recommendations.pricing import Priced, priced
from service.settings import Settings

USUAL_NOISE = 0.03**2
"""variance of a measured improvement where no run is stored: 128 problems of 4 rollouts"""
FEWEST_STEPS = round(1 / deciding.PILOT_SHARE)
"""of a run that may be piloted: one step at least is its pilot"""


class Advice(BaseModel):
    """A plan as it was made: what is stored of it, and shown."""

    unit: Unit
    steps: list[Step]
    expected_gain: float
    expected_gain_naive: float
    expected_gain_without: float
    hours: float
    bottleneck: Bottleneck
    law_share: float
    alternatives: list[Considered]
    space: list[Candidate]
    warnings: list[Warned]


class Progress(NamedTuple):
    """What an executed plan has done already.

    Attributes:
        trained: places of the runs, one that has two twice.
        hours: spent. best: the largest measured improvement.
    """

    trained: tuple[int, ...] = ()
    hours: float = 0.0
    best: float = -np.inf


def advise(
    session: Session,
    tenant: str,
    request: RecommendationRequest,
    law: Current,
    settings: Settings,
    done: Progress | None = None,
    now: int | None = None,
) -> Advice | None:
    """Make a plan, or the rest of one; None where the rest of the budget buys no further run. It reads only.

    With `now` it is so many runs to train at once, without another probe.

    Raises:
        GapcastError: a configuration cannot be probed, nothing tells what a run costs, or the budget is below one run.
    """
    done = done or Progress()
    found = contestants(session, tenant, request, law, settings)
    asked = questions(found, law)
    contest = asked.contest()
    results = measured(session, tenant, found)
    price = priced(session, tenant, request, found, law)
    hours = np.inf if request.budget.gpu_hours is None else request.budget.gpu_hours - done.hours
    runs = request.budget.runs - len(done.trained) if now is None else now
    left = [float(cost) for place, cost in enumerate(price.prices.run) if done.trained.count(place) < deciding.SEEDS]
    if runs <= 0 or not left or min(left) > hours:
        if not done.trained and now is None:
            raise _too_little(request, min(left))
        return None
    seeds, of_gaps = np.random.SeedSequence(found[0].own.seed), [None if one is None else known(one) for one in results]
    view = deciding.outlook(asked.laws, contest, of_gaps, seeds)
    apart = deciding.run_variance(asked.laws, contest, of_gaps, view, seeds)
    limits = Limits(
        hours=hours,
        runs=runs,
        learns=own_pool(law.fit.pool) == law.fit.pool,
        least=min(one.min_gain for one in request.asked),
        own=np.array([min(one.own.problems, one.most) for one in found], dtype=float),
        noise=law.summary.measurement_var or USUAL_NOISE,
        had=done.best,
        pilots=all(_shows_its_end(session, tenant, one, law) for one in found),
    )
    planned = deciding.make_plan(
        contest, view, price.prices, limits, done.trained, apart=apart, now=now is not None, seed=found[0].own.seed
    )
    return _Words(request, found, results, view, price, limits, planned).advice(law)


def _shows_its_end(session: Session, tenant: str, one: Contestant, law: Current) -> bool:
    """True if a pilot of it is worth a forecast: on the training problems, and by curves of finished runs like it."""
    if one.request.verdict_on != "train" or one.request.recipe.steps < FEWEST_STEPS:
        return False
    return not cell_of(session, tenant, law.fit, one.asked).cold


def _too_little(request: RecommendationRequest, least: float) -> InvalidRequest:
    return InvalidRequest(
        f"budget.gpu_hours: expected at least {_rounded_up(least)}, the hours of the cheapest training run, got "
        f"{request.budget.gpu_hours:g}. Raise it, or send cost.hours_per_run if a run takes less.",
        param="budget.gpu_hours",
        value=request.budget.gpu_hours,
    )


def _rounded_up(value: float) -> str:
    """Three digits, upward: what is named must be enough."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 2)
    return f"{np.ceil(value / unit) * unit:.3g}"


class _Words:
    """A plan as it is told."""

    def __init__(
        self,
        request: RecommendationRequest,
        found: Sequence[Contestant],
        results: Sequence[ProbeResult | None],
        view: Outlook,
        price: Priced,
        limits: Limits,
        planned: Planned,
    ) -> None:
        self._request, self._found, self._results, self._view = request, found, results, view
        self._price, self._limits, self._planned = price, limits, planned

    def advice(self, law: Current) -> Advice:
        planned = self._planned
        best = planned.considered[0]
        return Advice(
            unit=self._price.unit,
            steps=self._steps(),
            expected_gain=best.gain,
            expected_gain_naive=planned.naive,
            expected_gain_without=planned.without,
            hours=best.hours if planned.plan is not None else 0.0,
            bottleneck=planned.bottleneck,
            law_share=planned.law_share,
            alternatives=[_considered(one) for one in planned.considered],
            space=self._space(),
            warnings=self._warnings(law),
        )

    def _space(self) -> list[Candidate]:
        draws = self._view.draws
        p_best = np.bincount(draws.argmax(axis=1), minlength=draws.shape[1]) / len(draws)
        lower, upper = np.quantile(draws, TAILS, axis=0)
        return [
            Candidate(
                place=place,
                name=one.request.name or str(place),
                model=one.request.model.name,
                family=one.family,
                problems=result.gap.problems or 0 if result is not None else 0,
                gap=Difference(value=result.gap.value, se=result.gap.se) if result is not None else None,
                value=float(self._view.mean[place]),
                interval=Interval(level=COMPARED_AT, lower=float(lower[place]), upper=float(upper[place])),
                p_best=float(p_best[place]),
                refused=bool(self._view.refused[place]),
                run_hours=float(self._price.prices.run[place]),
            )
            for place, (one, result) in enumerate(zip(self._found, self._results, strict=True))
        ]

    # --- steps

    def _steps(self) -> list[Step]:
        plan = self._planned.plan
        if plan is None:
            return [self._stop()]
        steps = []
        if plan.first:
            steps.append(
                Step(
                    action="train",
                    configurations=list(plan.first),
                    runs=len(plan.first),
                    hours=float(self._price.prices.run[list(plan.first)].sum()),
                    why=self._teaching(plan, len(plan.first), sorted({self._found[row].family for row in plan.first})),
                )
            )
        if plan.problems:
            steps.append(
                Step(
                    action="probe",
                    configurations=list(plan.probed),
                    choice=plan.chosen,
                    problems=plan.problems,
                    rollouts=plan.rollouts,
                    hours=plan.probe_hours,
                    why=self._probing(plan),
                )
            )
        after = plan.probed if plan.problems else plan.train
        each = (plan.hours - plan.probe_hours) / plan.runs
        left = plan.runs - len(plan.first)
        if plan.turn:
            steps.append(
                Step(
                    action="train",
                    configurations=list(after),
                    choice=True,
                    runs=plan.turn,
                    hours=each * plan.turn,
                    why=self._teaching(plan, plan.turn, []),
                )
            )
            left -= plan.turn
        if plan.piloted:
            steps.append(self._pilot(plan, after))
            return steps
        is_chosen = bool(plan.problems) or plan.teaches
        steps.append(
            Step(
                action="train",
                configurations=list(after),
                choice=is_chosen,
                runs=left,
                hours=each * left,
                why=self._training(plan, left),
            )
        )
        return steps

    def _pilot(self, plan: Plan, places: Sequence[int]) -> Step:
        more = plan.gain - self._planned.at_once
        compared = f"{_points(more)} points more than" if more > TOLERANCE else "as much, in fewer hours, as"
        finished = "best is" if plan.runs == 1 else f"best {plan.runs} are"
        return Step(
            action="pilot",
            configurations=list(places),
            choice=plan.problems > 0,
            runs=plan.piloted,
            share=deciding.PILOT_SHARE,
            finish=plan.runs,
            hours=plan.hours - plan.probe_hours,
            why=f"Train {plan.piloted} for {whole_percent(deciding.PILOT_SHARE)} of their steps; the {finished} "
            f"finished by their forecasts, the others are cancelled. The best run is expected to gain "
            f"{_points(plan.gain)} points, {compared} where all runs are chosen at once.",
        )

    def _stop(self) -> Step:
        best, had = self._planned.considered[0], self._limits.had
        if np.isfinite(had):
            why = (
                f"No further run is worth it: the best so far has gained {_points(had)} points, and one more is "
                f"expected to raise that by {_points(best.gain - had)}."
            )
        else:
            why = (
                f"None is worth training: the best plan is expected to gain {_points(best.gain)} points, and min_gain "
                f"asks for {_points(self._limits.least)}."
            )
        return Step(action="stop", configurations=[], why=why)

    def _teaching(self, plan: Plan, runs: int, families: Sequence[str]) -> str:
        of = f" of {listed(families)}" if families else ""
        share = self._planned.law_share
        return (
            f"Train {count(runs, 'run')}{of} first, it buys more than probing: the law is the bottleneck, with "
            f"{whole_percent(share)} of the variance of the best prediction, and choosing the other runs by "
            f"these gains {_points(plan.gain - self._planned.at_once)} points more than choosing all at once."
        )

    def _probing(self, plan: Plan) -> str:
        unknown = sum(self._view.gaps.problems[row] == 0 for row in plan.probed)
        what = (
            f"{count(int(unknown), 'gap')} of {len(plan.probed)} not measured yet" if unknown else "known too roughly"
        )
        return (
            f"The gaps are the bottleneck ({what}): choosing by {plan.problems} problems of each is expected to gain "
            f"{_points(plan.gain - self._planned.without)} points more than training the first by the law alone."
        )

    def _training(self, plan: Plan, runs: int) -> str:
        if plan.problems:
            how = f"Train the {'best' if runs == 1 else f'best {runs}'} by their probes"
        elif plan.teaches:
            how = f"Train the {'best' if runs == 1 else f'best {runs}'} by the law that knows the first runs"
        else:
            how = f"Train {'this one' if runs == 1 else f'these {runs}'} now, no probing pays for itself"
        said = f"{how}: the best run is expected to gain {_points(plan.gain)} points."
        if plan.problems or len(set(plan.train)) == len(plan.train):
            return said  # after a probe it is not known yet
        return f"{said} A second seed is worth more here than a run of another configuration."

    def _warnings(self, law: Current) -> list[Warned]:
        warnings = []
        if not self._limits.learns and self._request.budget.runs > 1:
            pool = law.fit.pool
            message = (
                f"Runs are stored in the pool {own_pool(pool)}, and this plan is made from {pool}, which they do not "
                f"change. Send pool: {own_pool(pool)} to let early runs teach the law."
            )
            warnings.append(Warned(code="runs_do_not_teach", message=message))
        if self._view.refused.all():
            message = "The law does not reach any of these gaps: every figure rests on its prior. Probe or train first."
            warnings.append(Warned(code="refused", message=message))
        if law.behind:
            message = (
                f"The pool has changed {law.behind} time(s) since this fit was made, and is being fitted again; ask "
                "again later for a plan that knows them."
            )
            warnings.append(Warned(code="fit_behind", message=message))
        return warnings


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _considered(plan: Plan) -> Considered:
    return Considered(
        runs_first=len(plan.first),
        probed=len(plan.probed),
        problems=plan.problems,
        runs_in_turn=plan.turn,
        pilots=plan.piloted,
        pilot_share=deciding.PILOT_SHARE if plan.piloted else None,
        runs=plan.runs,
        hours=plan.hours,
        expected_gain=plan.gain,
    )
