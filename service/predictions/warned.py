"""What to know before trusting a prediction: of its law, its pool and its probe; pure."""

from gapcast.contract.base import Warned
from gapcast.contract.predictions import HeldOutAnswer, PredictionRequest, Target, Verdict
from gapcast.contract.probes import FEW_PROBLEMS, Gap, ProbeResult
from gapcast.words import percent, whole_percent
from service import law
from service.fits.service import Current
from service.law.similar import similar
from service.predictions.support import MOST_SPOILED, uncovered


def of_law(caution: law.Caution) -> Warned:
    """Show a caution of the law, with its accuracies."""
    return Warned(code=caution.code, message=caution.message, numbers=dict(caution.numbers))


def of_targets(on_train: Verdict, held_out: HeldOutAnswer | None, decides: Target) -> list[Warned]:
    """Say where a gain on the training problems is not one on held-out problems."""
    if on_train != "train" or held_out is None or held_out.verdict == "train" or decides == "held_out":
        return []
    message = (
        f"The verdict is about the training problems. On held-out ones it is `{held_out.verdict}`: the gain may stay "
        "with the problems that are trained on."
    )
    return [Warned(code="only_on_training_problems", message=message)]


def of_pool(request: PredictionRequest, family: str, cell: str, pool: Current) -> list[Warned]:
    """What the law does not know: the newest changes of its pool, or a run of this task and recipe class."""
    warned = []
    if pool.behind:
        message = (
            f"The pool has changed {pool.behind} time(s) since this fit was made, and is being fitted again; ask again "
            "later for a prediction that knows them."
        )
        warned.append(Warned(code="fit_behind", message=message))
    recipe = request.recipe
    known = pool.law.points(family, teacher=recipe.law_teacher, divergence=recipe.divergence)
    if known and not any(one == cell or one.startswith(f"{cell}|") for one in pool.law.cells_):
        message = (
            f"No stored run of {family} is of this task and recipe class ({recipe.recipe_class}); the interval "
            "rests on its other runs whose teacher moves, or stays, as this one's does."
        )
        warned.append(Warned(code="cold_cell", message=message))
    meant = similar(family, pool.law.families_)
    if meant is not None:
        message = (
            f"No stored run is of family {family!r}, and the pool has runs of {meant!r}. If that is the same family, "
            "send this name in model.family."
        )
        warned.append(Warned(code="similar_family", message=message))
    drift = (pool.summary.drift or {}).get(family)
    if drift is not None and drift.alarm:
        message = (
            f"Stored runs of {family} follow different laws by version ({', '.join(map(repr, drift.versions))}): "
            "something besides the gap has changed. Exclude the runs that no longer apply, or name families apart."
        )
        warned.append(Warned(code="drift", message=message))
    return warned


def of_probe(request: PredictionRequest, gap: Gap, result: ProbeResult | None) -> list[Warned]:
    """What the controls say against the gap."""
    if result is None:
        return []
    warned = []
    if gap.problems is not None and gap.problems < FEW_PROBLEMS:
        message = (
            f"{gap.problems} problems are too few to know the standard error by: the interval may be far too narrow. "
            f"Probe at least {FEW_PROBLEMS}."
        )
        warned.append(Warned(code="small_probe", message=message))
    none = result.controls.none
    if none is not None and abs(none.value) > 3 * none.se:
        message = (
            f"The A/A control is {none.value:+.3f} ± {none.se:.3f}: two samples of the same prompt differ by "
            "more than 3 standard errors. Probe again with another seed, and distrust the gap if it stays."
        )
        numbers = {"value": none.value, "se": none.se}
        warned.append(Warned(code="none_control_off", message=message, numbers=numbers))
    for control, found, what in (
        ("placebo", result.controls.placebo, "Another problem's context"),
        ("shuffled_feedback", result.controls.shuffled_feedback, "Another attempt's feedback"),
    ):
        if found is not None and found.value > 3 * found.se:
            message = (
                f"{what} alone gives {found.value:+.3f} ± {found.se:.3f}: part of the gap is not information "
                "about the problem."
            )
            numbers = {"value": found.value, "se": found.se}
            warned.append(Warned(code=f"{control}_positive", message=message, numbers=numbers))
    if result.stopped_by == "most_problems":
        message = (
            f"The probe took all of its {gap.problems} problems without reaching probe.target_half_width; allow more "
            "problems."
        )
        warned.append(Warned(code="target_not_reached", message=message))
    missing = uncovered(request, result)
    if missing > 0.1:
        message = (
            f"{whole_percent(missing)} of the rollouts had no context to read, beyond the coverage that was asked for; "
            f"they count as `none` and dilute the gap. Above {whole_percent(MOST_SPOILED)} a run is not advised."
        )
        warned.append(Warned(code="contexts_missing", message=message))
    truncated = result.arms["context"].truncated
    if truncated is not None and truncated > 0.1:
        message = (
            f"{whole_percent(truncated)} of the self-teacher's rollouts were truncated at max_tokens. "
            f"Raise decoding.max_tokens. Above {whole_percent(MOST_SPOILED)} a run is not advised."
        )
        warned.append(Warned(code="truncated", message=message))
    if gap.student < 0.02 or gap.student > 0.98:
        message = f"The student is right in {percent(gap.student)} of its rollouts: at such an end a gap says little."
        warned.append(Warned(code="student_at_the_end", message=message))
    return warned
