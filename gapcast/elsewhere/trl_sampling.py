"""Counts for the callback of `gapcast.elsewhere.trl`, sampled by `generate` as TRL's trainers sample."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import transformers

Rows = Sequence[Mapping[str, Any]]
Message = dict[str, Any]
"""One message of a chat, as its template takes it: `role`, `content`, and whatever else"""

Text = str | list[Message]
"""A prompt or a completion as TRL's datasets and reward functions have it: plain, or chat messages"""

ARMS = ("before", "self-teacher", "after")
PER_LOOK = 1_000_003
"""between the seeds of a run's looks: a prime above any number of seeds and processes that somebody counts up"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One rollout of the student's."""

    text: str
    score: float


TeacherPrompt = Callable[[Mapping[str, Any], Sequence[Attempt], Any], Text | None]
"""Takes a problem's row, the other rollouts of the student's group, and the configuration; None: there is no context,
and the self-teacher is asked what the student is asked"""


class Arms(TypedDict):
    """The arms of an observation: each function takes the model and the processing class and returns sums of scores."""

    rollouts: int
    before: Callable[[Any, Any], list[float]]
    self_teacher: Callable[[Any, Any], list[float]]
    after: Callable[[Any, Any], list[float]]


class LookArms(TypedDict):
    """The arms of a run's looks: each function takes the model and the processing class and returns sums of scores."""

    rollouts: int
    student: Callable[[Any, Any], list[float]]
    self_teacher: Callable[[Any, Any], list[float]]


class Sampled:
    """Draws and scores the arms of an observation.

    Prompts are encoded, cut and sampled as the trainer does it, by the fields of its configuration: `temperature`,
    `top_p`, `top_k`, `min_p`, `repetition_penalty`, `generation_kwargs`, `max_completion_length`, `max_prompt_length`,
    `chat_template_kwargs`, and SDPO's `max_reprompt_len`. The log reports prompts that are truncated: the trainer cuts
    them without a word, from the left, and so trains on other questions.
    Each process of a distributed run draws all of it. Where the weights are sharded (FSDP, DeepSpeed ZeRO-3), give the
    callback functions or counts of your own.

    Drawing moves the random state that the trainer draws its rollouts from; afterwards it is seeded with the
    configuration's `seed`, so that the run does not depend on how much was drawn here.

    Args:
        rows: the problems, at least 2: rows with `prompt`, as in the trainer's dataset.
        score: a reward function in TRL's sense, whose values lie between 0 and 1: it is called with `prompts`,
            `completions`, `completion_ids` and the rows' other columns.
        config: the trainer's configuration, SDPOConfig or SDFTConfig.
        teacher_prompt: `sdft_prompt`, `sdpo_prompt`, or a function of your own.
        rollouts: of each problem and arm; None: `num_generations`, so that a problem's rollouts are a group as in
            training.
        batch_size: prompts that are sampled together.
        seed: of the draws.

    Raises:
        ValueError: fewer than 2 rows, or one without a prompt.
    """

    def __init__(
        self,
        rows: Rows,
        score: Callable[..., Sequence[float | None]],
        config: Any,  # noqa: ANN401
        teacher_prompt: TeacherPrompt,
        *,
        rollouts: int | None = None,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        self._rows = [dict(row) for row in rows]
        if len(self._rows) < 2 or any("prompt" not in row for row in self._rows):
            raise ValueError("rows: at least 2 are needed, each with a `prompt`")
        self._score, self._config, self._teacher_prompt = score, config, teacher_prompt
        self.rollouts = rollouts or int(config.num_generations)
        self._batch_size, self._seed = batch_size, seed
        self._groups: list[list[Attempt]] | None = None
        self._looks = 0

    def arms(self) -> Arms:
        """Return what `ObservationCallback` takes."""
        return {
            "rollouts": self.rollouts,
            "before": self.before,
            "self_teacher": self.self_teacher,
            "after": self.after,
        }

    def looks(self) -> LookArms:
        """Return what `SelfDistillationEvaluation` and `ForecastCallback` take."""
        return {"rollouts": self.rollouts, "student": self.look, "self_teacher": self.self_teacher}

    def look(self, model: Any, processing_class: Any) -> list[float]:  # noqa: ANN401
        """The student's sums of scores as it is now; its rollouts are what the next contexts are made of.

        Every look draws afresh, and leaves another random state: else the training would draw the same after each.
        """
        counts = self.before(model, processing_class)
        self._looks += 1
        return counts

    def before(self, model: Any, processing_class: Any) -> list[float]:  # noqa: ANN401
        """The student's sums of scores; its rollouts are what the self-teacher's contexts are made of."""
        self._groups = self._draw(model, processing_class, self._plain(), "before")
        return _sums(self._groups)

    def self_teacher(self, model: Any, processing_class: Any) -> list[float]:  # noqa: ANN401
        """The sums of scores of the same model with the context, a fresh sample for every rollout.

        Raises:
            RuntimeError: `before` was not drawn yet.
        """
        if self._groups is None:
            raise RuntimeError("the student comes first: contexts may be made of its rollouts")
        prompts = [
            [
                self._teacher_prompt(row, [*group[:place], *group[place + 1 :]], self._config) or row["prompt"]
                for place in range(self.rollouts)
            ]
            for row, group in zip(self._rows, self._groups, strict=True)
        ]
        return _sums(self._draw(model, processing_class, prompts, "self-teacher"))

    def after(self, model: Any, processing_class: Any) -> list[float]:  # noqa: ANN401
        """The student's sums of scores, of fresh samples."""
        return _sums(self._draw(model, processing_class, self._plain(), "after"))

    def _plain(self) -> list[list[Text]]:
        return [[row["prompt"]] * self.rollouts for row in self._rows]

    def _draw(self, model: Any, processor: Any, prompts: list[list[Text]], arm: str) -> list[list[Attempt]]:  # noqa: ANN401
        """One rollout for every prompt, in groups by row."""
        tokenizer = getattr(processor, "tokenizer", processor)
        encoded = self._cut([self._encode(processor, one) for group in prompts for one in group], arm)
        sampling = self._sampling(model, tokenizer)
        self._require_room(model, encoded, arm)
        transformers.set_seed(len(ARMS) * self._seed + ARMS.index(arm) + self._looks * PER_LOOK)
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))  # little padding in a batch
        completions: dict[int, list[int]] = {}
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            batch = tokenizer.pad(
                {"input_ids": [encoded[place] for place in places]}, padding_side="left", return_tensors="pt"
            ).to(model.device)
            out = model.generate(**batch, generation_config=sampling)[:, batch["input_ids"].shape[1] :]
            completions |= zip(places, (_until(row, sampling.eos_token_id) for row in out.tolist()), strict=True)
        transformers.set_seed(self._config.seed + self._config.process_index + self._looks * PER_LOOK)
        return self._scored(tokenizer, [completions[place] for place in range(len(order))])

    def _encode(self, processor: Any, prompt: Text) -> list[int]:  # noqa: ANN401
        if isinstance(prompt, str):
            return list(processor(text=[prompt])["input_ids"][0])
        encoded = processor.apply_chat_template(
            conversation=[prompt],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            **(self._config.chat_template_kwargs or {}),
        )
        return list(encoded["input_ids"][0])

    def _cut(self, encoded: list[list[int]], arm: str) -> list[list[int]]:
        name = "max_reprompt_len" if arm == "self-teacher" and hasattr(self._config, "max_reprompt_len") else None
        name = name or "max_prompt_length"
        most = getattr(self._config, name, None)
        if most is None:
            return encoded
        cut = sum(len(tokens) > most for tokens in encoded)
        if cut:
            logger.warning("Gapcast: %s: %d of %d prompts are truncated by %s=%d", arm, cut, len(encoded), name, most)
        return [tokens[-most:] for tokens in encoded]

    def _require_room(self, model: Any, encoded: Sequence[Sequence[int]], arm: str) -> None:  # noqa: ANN401
        room = getattr(model.config, "max_position_embeddings", None)
        for place, tokens in enumerate(encoded):
            if room and len(tokens) + self._config.max_completion_length > room:
                raise ValueError(
                    f"{arm}, row {place // self.rollouts}: a prompt of {len(tokens)} tokens and completions of "
                    f"{self._config.max_completion_length} do not fit into the model's {room}"
                )

    def _sampling(self, model: Any, tokenizer: Any) -> Any:  # noqa: ANN401
        config = self._config
        ends = model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [] if ends is None else [ends]
        chosen = {
            "do_sample": True,
            "max_new_tokens": config.max_completion_length,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "top_k": config.top_k,
            "min_p": config.min_p,
            "repetition_penalty": config.repetition_penalty,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": sorted({tokenizer.eos_token_id, *ends} - {None}),
        } | (config.generation_kwargs or {})
        return transformers.GenerationConfig(**chosen, disable_compile=True)

    def _scored(self, tokenizer: Any, completions: list[list[int]]) -> list[list[Attempt]]:  # noqa: ANN401
        rows = [row for row in self._rows for _ in range(self.rollouts)]
        texts = tokenizer.batch_decode(completions, skip_special_tokens=True)
        chats = [
            text if isinstance(row["prompt"], str) else _answer(text) for row, text in zip(rows, texts, strict=True)
        ]
        given = {"prompt", "completion", "completion_ids"}
        columns = {name: [row.get(name) for row in rows] for name in rows[0] if name not in given}
        prompts = [row["prompt"] for row in rows]
        scores = self._score(prompts=prompts, completions=chats, completion_ids=completions, **columns)
        attempts = [Attempt(text, _share(value)) for text, value in zip(texts, scores, strict=True)]
        return [attempts[start : start + self.rollouts] for start in range(0, len(attempts), self.rollouts)]


def sdft_prompt(row: Mapping[str, Any], attempts: Sequence[Attempt], config: Any) -> Text | None:  # noqa: ANN401
    """What SDFT's teacher is asked: the prompt and the row's `privileged_context` in `teacher_prompt_template`."""
    context = row["privileged_context"]

    def fill(question: str) -> str:
        return str(config.teacher_prompt_template.format(prompt=question, privileged_context=context))

    return _with_question(row["prompt"], fill)


def sdpo_prompt(row: Mapping[str, Any], attempts: Sequence[Attempt], config: Any) -> Text | None:  # noqa: ANN401
    """What SDPO's teacher is asked: the group's first success and the row's feedback in `reprompt_template`.

    As in training, a success is another rollout's, and feedback is shown where `include_environment_feedback` says so.
    Where there is neither, there is no context. (With `dont_reprompt_on_self_success` off, TRL also shows a rollout its
    own answer; that is no privileged context, and is not done here.)
    """
    found = [one.text for one in attempts if one.score >= config.success_reward_threshold]
    solution = feedback = ""
    if found and config.use_successful_as_teacher:
        shown = found[0]
        if config.remove_thinking_from_demonstration:
            shown = re.sub(r"<think>.*?</think>", "", shown, flags=re.DOTALL).strip()
        solution = config.solution_template.format(successful_previous_attempt=shown)
    said = row.get("privileged_context")
    wanted = config.include_environment_feedback and not (
        solution and config.environment_feedback_only_without_solution
    )
    if wanted and isinstance(said, str) and said.strip():
        feedback = config.feedback_template.format(feedback_raw=said)
    if not solution and not feedback:
        return None

    def fill(question: str) -> str:
        return str(config.reprompt_template.format(prompt=question, solution=solution, feedback=feedback))

    return _with_question(row["prompt"], fill)


def _with_question(prompt: Text, fill: Callable[[str], str]) -> Text:
    """The prompt with its last user's message changed, as TRL does it.

    Raises:
        ValueError: a conversation does not end with the user.
    """
    if isinstance(prompt, str):
        return fill(prompt)
    last = prompt[-1]
    if last.get("role") != "user" or not isinstance(last.get("content"), str):
        raise ValueError("prompt: a conversation must end with a text of the user")
    return [*prompt[:-1], {"role": "user", "content": fill(last["content"])}]


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _until(tokens: list[int], ends: Sequence[int]) -> list[int]:
    """The tokens up to the first that ends a completion, that one included."""
    for place, token in enumerate(tokens):
        if token in ends:
            return tokens[: place + 1]
    return tokens


def _share(value: float | None) -> float:
    if value is None or not 0 <= value <= 1:
        raise ValueError(f"score: {value} is not a number between 0 and 1, so it is not an accuracy")
    return float(value)


def _sums(groups: Sequence[Sequence[Attempt]]) -> list[float]:
    return [sum(one.score for one in group) for group in groups]
