"""How much of an answer rests on runs like the one that is asked for, and what a run still lacks; pure."""

from collections.abc import Collection, Iterator, Sequence

from gapcast.contract.predictions import Missing, NearRun, PredictionRequest, Support
from gapcast.contract.probes import ProbeResult
from gapcast.contract.recipes import Recipe
from gapcast.words import count, decoding_mode, isolated, plain_points, points, whole_percent
from service.fits.asked import Asked
from service.fits.laws import Answering
from service.fits.summary import PoolSummary
from service.fits.tuning import Tuned
from service.law import dose
from service.law.dose import Collapses, Dose

FEWEST_RUNS = 3
"""of a cell, collapsed ones too, without which no run of it is advised"""
MOST_SPOILED = 0.5
"""share of answers that are copied, and of rollouts that are truncated or without a context, beyond which a gap is not
mostly what the context teaches"""
FEWEST_ALIKE = 2
"""stored runs of a context that can speak against it"""
Z80 = 1.2816
"""standard errors to the ends of an 80 % interval, which the verdict asks for"""
CONTROLS = frozenset({"none", "placebo"})


def collapses(summary: PoolSummary, recipe: Recipe) -> Collapses:
    """Of stored runs of a teacher rule and divergence, up to the asked steps."""
    runs = [
        (int(one.dose), one.collapsed, one.runs) for one in summary.collapses if one.recipe_class == recipe.recipe_class
    ]
    return dose.collapses(runs)[Dose.of(recipe.steps)]


def support(
    asked: Asked,
    summary: PoolSummary,
    answering: Answering,
    missing: Sequence[Missing],
    near: Sequence[NearRun],
    pool: str,
    families: Collection[str],
) -> Support:
    """Say what an answer rests on."""
    stored = summary.cells.get(asked.moded_cell, {})
    alike = {run.same for run in near if run.pool == pool}
    known = (
        "configuration"
        if alike & {"run", "configuration"}
        else "context"
        if "context" in alike and stored
        else "cell"
        if stored
        else "family"
        if asked.family in families
        else "unlike"
    )
    gone = collapses(summary, asked.recipe)
    return Support(
        known=known,
        cell_runs=sum(one.runs for one in stored.values()),
        steps=None if answering.dose is None else [answering.dose.first, answering.dose.last],
        collapsed_runs=gone.collapsed,
        compared_runs=gone.runs,
        missing=list(missing),
        nearest=list(near),
    )


def missing(
    asked: Asked,
    request: PredictionRequest,
    summary: PoolSummary,
    result: ProbeResult | None,
    near: Sequence[NearRun] = (),
) -> Iterator[Missing]:
    """Say why a run could not be advised, whatever its interval."""
    recipe = asked.recipe
    if request.context.kind in CONTROLS:
        message = (
            f"The context `{request.context.kind}` shows nothing about the problem, so its gap should be 0. "
            "Measure the gap of the context that you want to train with."
        )
        yield Missing(code="control_context", message=message)
    if recipe.law_teacher == "live":
        which = "" if recipe.ema_rate is None else f" (recipe.ema_rate {recipe.ema_rate:g})"
        message = (
            f"The teacher is the student of the current step{which}. Published runs with such a teacher ended at an "
            "accuracy of 18.8 %, against 53.9 % with a frozen one (from 9.4 %, gap 39 points), and at 36.1 % against "
            "49 % (from 27.9 %, gap 15 points). Use a frozen teacher, or ema with a rate below 0.5."
        )
        yield Missing(code="live_teacher", message=message)
    if result is not None:
        yield from _spoiled(request, result)
    stored = summary.cells.get(asked.moded_cell, {})
    runs = sum(one.runs for one in stored.values())
    others = [one for one in summary.cells if one == asked.cell or one.startswith(f"{asked.cell}|")]
    if not stored and others:
        theirs, ours = decoding_mode(others[0].removeprefix(asked.cell).removeprefix("|")), decoding_mode(asked.mode)
        message = (
            f"The stored runs of this family, task and recipe class were measured {theirs}, and this one is asked "
            f"{ours} (decoding.thinking). A gap of one mode does not predict the other. Train {FEWEST_RUNS} runs "
            f"{ours}, or ask in the stored mode."
        )
        yield Missing(code="mode_new", message=message)
    elif runs < FEWEST_RUNS:
        message = (
            f"{count(runs, 'stored run')} of {isolated(asked.family)} on {isolated(request.task)} with a "
            f"{recipe.recipe_class} recipe; "
            f"{FEWEST_RUNS} are needed. {'Import' if recipe.teacher == 'live' else 'Train'} {FEWEST_RUNS - runs} more, "
            f"at about {recipe.steps} steps."
        )
        yield Missing(code="few_runs", message=message)
    yield from _contradicted(request, near)
    if stored:
        yield from _unlike(asked, list(stored.values()), asked.tuned(summary))


def _contradicted(request: PredictionRequest, near: Sequence[NearRun]) -> Iterator[Missing]:
    """Say if stored runs with this very context gained no more than is asked for, whatever the law makes of them.

    Where most contexts lie on the line and few runs tell of the odd one, the law may take these for runs that
    collapsed, and then promises its gap. Shorter runs and those of other recipe classes do not speak against a run.
    """
    recipe = request.recipe
    gains = [
        run.improvement
        for run in near
        if run.same in {"run", "configuration", "context"}
        and run.recipe_class == recipe.recipe_class
        and run.steps is not None
        and run.steps * dose.STRETCH >= recipe.steps
        and run.improvement is not None
    ]
    if len(gains) < FEWEST_ALIKE:
        return
    mean = sum(gain.value for gain in gains) / len(gains)
    se = sum(gain.se**2 for gain in gains) ** 0.5 / len(gains)
    if mean - Z80 * se <= request.min_gain:
        message = (
            f"{len(gains)} stored runs with this context, of about {recipe.steps} steps or more and a "
            f"{recipe.recipe_class} recipe, gained {points(mean)} ± {plain_points(se)} points on average. "
            "That does not show a gain, whatever the gap. Use another context, or train one more run of this one."
        )
        yield Missing(code="context_gained_little", message=message)


def _spoiled(request: PredictionRequest, result: ProbeResult) -> Iterator[Missing]:
    """Say if the probe's gap is mostly something else than what the context tells."""
    leak = result.controls.leak
    if leak is not None and min(leak.contains_answer, leak.copied) > MOST_SPOILED:
        message = (
            f"{whole_percent(leak.contains_answer)} of the contexts contain the answer and "
            f"{whole_percent(leak.copied)} of the answers are copied: the gap is mostly copying, and less of it can be "
            "learned (published: a gap of 57 points, a gain of 28). Use a context without the answer."
        )
        yield Missing(code="answer_in_context", message=message)
    truncated = result.arms["context"].truncated
    if truncated is not None and truncated > MOST_SPOILED:
        message = (
            f"{whole_percent(truncated)} of the self-teacher's rollouts were truncated at max_tokens: the gap is "
            "mostly that of answers without an end. Raise decoding.max_tokens and probe again."
        )
        yield Missing(code="truncated", message=message)
    missing = uncovered(request, result)
    if missing > MOST_SPOILED:
        message = (
            f"{whole_percent(missing)} of the rollouts had no context to read, beyond the coverage that was asked for: "
            "the gap is mostly that of `none`. Use a context that the task's problems have."
        )
        yield Missing(code="contexts_missing", message=message)


def uncovered(request: PredictionRequest, result: ProbeResult) -> float:
    """Share of the self-teacher's rollouts without a context, beyond those that were asked to have none."""
    wanted = 0.0 if request.context.kind == "none" else request.context.corruption.coverage
    return result.contexts_missing - (1 - wanted)


def _unlike(asked: Asked, stored: Sequence[Tuned], tuned: Tuned | None) -> Iterator[Missing]:
    """Say how the stored runs of the cell differ from the one that is asked for, in tuning and in dose."""
    recipe = asked.recipe
    if tuned is None:
        how = "full fine-tuning" if recipe.lora_rank is None else "LoRA"
        problems = "an unknown number of" if asked.training_problems is None else f"about {asked.training_problems}"
        message = (
            f"No stored run of this family, task and recipe class has a learning rate near {recipe.rate:g}, "
            f"{how} and {problems} training problems. Train one, or ask for the stored tuning."
        )
        yield Missing(code="tuning_new", message=message)
    at = [tuned] if tuned is not None else stored
    for name, value, ranges in (
        ("steps", recipe.steps, [one.steps for one in at if one.steps is not None]),
        ("passes over the training problems", asked.passes, [one.passes for one in at if one.passes is not None]),
    ):
        if not ranges or value is None:
            if name == "steps":
                message = "The stored runs do not say how many steps they trained. Import them with recipe.steps."
                yield Missing(code="dose_unknown", message=message)
            continue
        ends = [end for one in ranges for end in one]
        if dose.outside(value, ends):
            message = (
                f"{value:.3g} {name} are asked, and the stored runs have {min(ends):.3g} to {max(ends):.3g}. "
                "Train one run of this length first, or ask for one of theirs."
            )
            yield Missing(code="dose_outside", message=message)
            return
