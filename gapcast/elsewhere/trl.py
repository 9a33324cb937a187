"""For people who train with TRL, or any trainer of transformers: a finished run becomes an observation.

    from gapcast.elsewhere import Run
    from gapcast.elsewhere.trl import ObservationCallback
    from gapcast.elsewhere.trl_sampling import Sampled, sdft_prompt

    sampled = Sampled(rows, score, config, sdft_prompt)
    run = Run(family="qwen3", task="mine", model="Qwen/Qwen3-1.7B", context_kind="column")
    callback = ObservationCallback(run, **sampled.arms())
    SDFTTrainer(..., args=config, callbacks=[callback]).train()

It is written against `transformers.TrainerCallback` alone. Nothing that it does makes a training run fail.
"""

import json
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import transformers

from gapcast._version import __version__
from gapcast.client import Client, GapcastError
from gapcast.elsewhere.rows import Counts, Row, Run, import_command, keep, keep_row

Evaluate = Callable[[Any, Any], Counts]
"""Takes the model as it is now and the trainer's processing class; returns each problem's sum of scores"""


class Measured(TypedDict):
    """What was measured before the first step, kept for a start that goes on from a checkpoint."""

    external_id: str | None
    before: list[float]
    self_teacher: NotRequired[list[float]]


class Recipe(TypedDict):
    """A recipe as a row names it."""

    teacher: str
    divergence: str
    steps: int
    learning_rate: float
    problems_per_step: int
    group_size: int
    top_k: NotRequired[int]
    ema_rate: NotRequired[float]
    lora_rank: NotRequired[int]


BEFORE_FILE, ROW_FILE = "gapcast_before.json", "gapcast_observation.json"

logger = logging.getLogger(__name__)


class ObservationCallback(transformers.TrainerCallback):  # type: ignore[misc] # transformers has no types
    """Measures student and self-teacher before the first step and the student after the last one, and sends the row.

    Each measurement is given as counts, or as a function that makes them; all of them belong to the same problems in
    the same order, with the same decoding. The functions run on every process of a distributed run, the main one sends.
    The row is kept in `output_dir` as well: where the server is away, the log names the command that imports it.
    A run that is resumed from a checkpoint goes on with what its first start measured.

    Args:
        run: what is trained. Without a recipe that of TRL's SDPO and SDFT trainers is read off their configuration;
            without an `external_id` the run gets a fresh one.
        rollouts: of each problem and arm.
        before: the student's counts before training.
        after: the student's counts after the last step.
        self_teacher: counts of the same model with the context, before training.
        gap: in place of `self_teacher`, a gap that was measured already: `{"value": 0.18, "se": 0.02}`.
        problem_ids: names of the problems, where they have some.
        client: None: a fresh one, whose address and key are GAPCAST_URL and GAPCAST_API_KEY.
        file: where the row is kept; None: `gapcast_observation.json` in the trainer's `output_dir`.

    Raises:
        ValueError: neither or both of `self_teacher` and `gap` are given, or fewer than 1 rollout.
    """

    def __init__(
        self,
        run: Run,
        *,
        rollouts: int,
        before: Counts | Evaluate,
        after: Evaluate,
        self_teacher: Counts | Evaluate | None = None,
        gap: Mapping[str, Any] | None = None,
        problem_ids: Sequence[str | int] | None = None,
        client: Client | None = None,
        file: Path | None = None,
    ) -> None:
        if (self_teacher is None) == (gap is None):
            raise ValueError("give one of self_teacher (counts, or a function) and gap (value and se)")
        if rollouts < 1:
            raise ValueError(f"rollouts: {rollouts} is less than 1")
        self.observation_id: str | None = None
        """set once the observation is stored"""
        self._run = replace(run, external_id=run.external_id or f"trl-{uuid.uuid4().hex}")
        self._rollouts, self._before, self._after, self._self_teacher = rollouts, before, after, self_teacher
        self._gap, self._problem_ids, self._client, self._file = gap, problem_ids, client, file
        self._measured: Measured | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Measure student and self-teacher, or read what the run's first start has measured."""
        with unharmed("before the first step"):
            file = Path(args.output_dir) / BEFORE_FILE
            if state.global_step:
                self._measured = _read(file, state.global_step)
                return
            problems = None if self._problem_ids is None else len(self._problem_ids)
            with evaluating(kwargs["model"]) as model:
                before = self._count(self._before, model, kwargs, "before", problems)
                found: Measured = {"external_id": self._run.external_id, "before": before}
                if self._self_teacher is not None:
                    taught = self._count(self._self_teacher, model, kwargs, "self_teacher", len(before))
                    found["self_teacher"] = taught
            if state.is_world_process_zero:
                keep(found, file)
            self._measured = found

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Measure the student again, keep the row and send it."""
        measured, self._measured = self._measured, None
        if measured is None:
            return
        with unharmed("after the last step"):
            with evaluating(kwargs["model"]) as model:
                after = self._count(self._after, model, kwargs, "after", len(measured["before"]))
            if not state.is_world_process_zero:
                return
            row = self._row(measured, after, args, state, kwargs["model"])
            file = self._file or Path(args.output_dir) / ROW_FILE
            keep_row(row, file)
            self._send(row, file)

    def _count(
        self, given: Counts | Evaluate, model: object, kwargs: Mapping[str, Any], name: str, problems: int | None
    ) -> list[float]:
        counts = given(model, kwargs.get("processing_class")) if callable(given) else given
        return checked(counts, name, self._rollouts, problems)

    def _row(self, measured: Measured, after: Counts, args: Any, state: Any, model: Any) -> Row:  # noqa: ANN401
        before = measured["before"]
        arms = {"rollouts": self._rollouts, "problem_ids": list(self._problem_ids or range(len(before)))}
        notes = {"steps": state.global_step, "seed": args.seed, "versions": _versions()}
        notes |= {name: getattr(args, name) for name in NOTED if hasattr(args, name)}
        if args.load_best_model_at_end:
            logger.warning("Gapcast: load_best_model_at_end: the improvement is the best model's, not the last step's")
            notes["load_best_model_at_end"] = True
        gap = self._gap if self._self_teacher is None else {"student": before, "self_teacher": measured["self_teacher"]}
        return self._run.row(
            external_id=measured["external_id"],
            recipe=self._run.recipe or recipe_of(args, state.global_step, model),
            baseline=sum(before) / len(before) / self._rollouts,
            gap=dict(gap or {}) | (arms if self._self_teacher is not None else {}),
            improvement={"before": before, "after": after} | arms,
            source="trl",
            provenance={"training": notes},
        )

    def _send(self, row: Row, file: Path) -> None:
        client = self._client or Client()
        try:
            batch = client.observations.create([row])
        except GapcastError as error:
            reasons = "; ".join(f"{one['param']}: {one['message']}" for one in error.errors) or str(error)
            logger.warning(
                "Gapcast: the observation was not stored: %s\nIt is in %s. Once that is put right: %s",
                reasons,
                file,
                import_command(file, client.url),
            )
            return
        finally:
            if client is not self._client:
                client.close()
        self.observation_id = batch.ids[0]
        for warning in batch.warnings:
            logger.warning("Gapcast: %s", warning.message)
        logger.info("Gapcast: stored observation %s", self.observation_id)


def checked(counts: Counts, name: str, rollouts: int, problems: int | None) -> list[float]:
    """Return counts of every problem.

    Raises:
        ValueError: they are of another number of problems, or are no sums of scores.
    """
    found = [float(one) for one in counts]
    if len(found) < 2 or len(found) != (problems or len(found)):
        raise ValueError(f"{name}: counts of {problems or 'at least 2'} problems are needed, {len(found)} came")
    wrong = [one for one in found if not 0 <= one <= rollouts]
    if wrong:
        raise ValueError(f"{name}: {wrong[0]} is not a sum of {rollouts} scores between 0 and 1")
    return found


@contextmanager
def unharmed(when: str, lost: str = "this run becomes no observation") -> Iterator[None]:
    """Log whatever goes wrong and end it here: the weights of a long run are worth more than its observation."""
    try:
        yield
    except Exception:
        logger.warning("Gapcast: %s: what is done %s has failed", lost, when, exc_info=True)


@contextmanager
def evaluating(model: Any) -> Iterator[Any]:  # noqa: ANN401
    """Give the model without dropout, and leave it as it was."""
    was = model.training
    model.eval()
    try:
        yield model
    finally:
        model.train(was)


def _read(file: Path, step: int) -> Measured | None:
    if not file.is_file():
        logger.warning(
            "Gapcast: this run becomes no observation: it goes on at step %d, and %s, which its first start writes, is "
            "not there",
            step,
            file,
        )
        return None
    measured: Measured = json.loads(file.read_text())
    return measured


def _versions() -> dict[str, str]:
    found = {"gapcast": __version__}
    for name in ("transformers", "trl"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


NOTED = (
    *("distillation_mode", "distillation_alpha", "distillation_topk", "distillation_add_tail", "distillation_weight"),
    *("teacher_model_kind", "teacher_update_rate", "teacher_sync_steps"),
)
"""Fields of TRL's configurations that say more than a recipe can: whether a top-k has a tail, the weight in `js`"""

TEACHERS = {"base": "frozen", "ema": "ema", "live": "live"}
"""TRL's words and ours"""


def recipe_of(args: Any, steps: int, model: Any) -> Recipe | None:  # noqa: ANN401
    """The recipe of a run of TRL's SDPO or SDFT trainer, from the fields of its configuration.

    None for another trainer, and where SDPO mixes in a policy loss (`distillation_weight` below 1): that is no recipe
    of the law's. TRL's `sampled_token` is the reverse KL, estimated on the sampled token.
    """
    teacher = TEACHERS.get(getattr(args, "teacher_model_kind", ""))
    if teacher is None or getattr(args, "distillation_weight", 1.0) != 1.0:
        return None
    mode, alpha = args.distillation_mode, args.distillation_alpha
    batch = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
    recipe: Recipe = {
        "teacher": teacher,
        "divergence": {0.0: "forward_kl", 1.0: "reverse_kl"}.get(alpha, "js"),
        "steps": steps,
        "learning_rate": args.learning_rate,
        "problems_per_step": max(1, batch // args.num_generations),
        "group_size": args.num_generations,
    }
    if mode == "topk_logits":
        recipe["top_k"] = args.distillation_topk
    if teacher == "ema" and args.teacher_sync_steps == 1:
        recipe["ema_rate"] = args.teacher_update_rate
    for adapter in getattr(model, "peft_config", {}).values():
        recipe["lora_rank"] = adapter.r
    return recipe
