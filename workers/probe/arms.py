"""The probe's arms: fresh samples for every rollout of every problem, with whatever context an arm gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.catalog.contexts import Context
from workers.contexts import build_context, require_fit, teacher_prompt
from workers.engines import Engine, Sample, Sampling
from workers.probe.statistics import Scores, counts
from workers.tasks import Problem, Task, derive_seed

CHUNK_PROBLEMS = 32
"""Problems that are sampled together and then reported. Fixed, because the random numbers of a chunk depend on it."""


@dataclass
class Arm:
    """All samples of one arm, in the problems' order."""

    name: str
    scores: Scores
    samples: list[list[Sample]]
    contexts: list[list[str | None]] = field(default_factory=list)
    """The context's text of every rollout; null where there was none."""

    def summary(self) -> dict[str, object]:
        """The arm as the probe's result shows it."""
        flat = [sample for row in self.samples for sample in row]
        return {
            "accuracy": float(self.scores.mean()),
            "counts": counts(self.scores),
            "rollouts": int(self.scores.shape[1]),
            "mean_tokens": sum(len(sample.token_ids) for sample in flat) / len(flat),
            "truncated": sum(sample.truncated for sample in flat) / len(flat),
        }


@dataclass(frozen=True)
class ArmRunner:
    """Draws arms from one engine on one set of problems; `report(arm, rollouts)` is called after every chunk."""

    engine: Engine
    task: Task
    problems: Sequence[Problem]
    rollouts: int
    sampling: Sampling
    seed: int
    report: Callable[[str, int], None] = lambda arm, rollouts: None

    def plain(self, name: str) -> Arm:
        """Samples of exactly the student's prompt; the arm's name makes them independent of any other arm's."""
        return self._run(name, [[problem.prompt] * self.rollouts for problem in self.problems])

    def with_context(self, name: str, context: Context, attempts: Arm) -> Arm:
        """Samples of the self-teacher; rollout k of a problem is shown what concerns rollout k of `attempts`.

        A rollout without a context gets the student's prompt and a fresh sample: it counts as `none`.
        """
        prompts: list[list[str]] = []
        texts: list[list[str | None]] = []
        for problem, row in zip(self.problems, attempts.samples, strict=True):
            built = [
                build_context(context, self.task, problem, seed=self.seed, draw=f"{name}-{k}", attempt=sample.text)
                for k, sample in enumerate(row)
            ]
            prompts.append([teacher_prompt(problem, context_k) for context_k in built])
            texts.append([context_k.text for context_k in built])
        arm = self._run(name, prompts)
        arm.contexts = texts
        return arm

    def _run(self, name: str, prompts: list[list[str]]) -> Arm:
        for problem, row in zip(self.problems, prompts, strict=True):
            for prompt in set(row):
                tokens = self.engine.count_tokens(prompt)
                require_fit(problem, tokens, self.sampling.max_tokens, self.engine.context_length)
        samples: list[list[Sample]] = []
        for start in range(0, len(prompts), CHUNK_PROBLEMS):
            chunk = prompts[start : start + CHUNK_PROBLEMS]
            flat = [prompt for row in chunk for prompt in row]
            drawn = self.engine.generate(flat, 1, self.sampling, derive_seed("arm", name, self.seed, start))
            singles = [group[0] for group in drawn]
            samples += [singles[i : i + self.rollouts] for i in range(0, len(singles), self.rollouts)]
            self.report(name, len(flat))
        scores = [
            [self.task.score(problem, sample.text) for sample in row]
            for problem, row in zip(self.problems, samples, strict=True)
        ]
        return Arm(name, np.array(scores, dtype=np.float64), samples)


def leak(arm: Arm, problems: Sequence[Problem]) -> dict[str, float]:
    """Share of completions that stand in their context word for word, and share of contexts that contain the answer.

    Both among the rollouts that had a context; 0 where none had.
    """
    shown = [
        (problem, sample.text.strip(), text)
        for problem, row, texts in zip(problems, arm.samples, arm.contexts, strict=True)
        for sample, text in zip(row, texts, strict=True)
        if text is not None
    ]
    if not shown:
        return {"copied": 0.0, "contains_answer": 0.0}
    return {
        "copied": sum(bool(answer) and answer in text for _, answer, text in shown) / len(shown),
        "contains_answer": sum(problem.answer in text for problem, _, text in shown) / len(shown),
    }


def contexts_missing(arm: Arm) -> float:
    """Share of the arm's rollouts that had no context."""
    texts = [text for row in arm.contexts for text in row]
    return sum(text is None for text in texts) / len(texts)
