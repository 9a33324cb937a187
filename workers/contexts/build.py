"""Builds the self-teacher's privileged context: pure functions of their arguments, the same for probe and trainer."""

import random
from dataclasses import dataclass

from service.catalog.contexts import Context, ContextKind
from workers.contexts.templates import BLOCKS, TEACHER_PROMPT, fill
from workers.failures import JobError
from workers.tasks import Problem, Task, derive_seed, derive_unit


@dataclass(frozen=True)
class BuiltContext:
    """A context's text, or the reason why there is none."""

    text: str | None
    reason: str | None = None
    """`kind_is_none`, `not_covered` or `no_attempt` where `text` is null."""
    corrupted: bool = False


def build_context(
    context: Context, task: Task, problem: Problem, *, seed: int, draw: str, attempt: str | None = None
) -> BuiltContext:
    """The privileged context of one rollout.

    `seed` fixes which problems are covered, so that probe and training with one seed cover the same ones; `draw` names
    the rollout, so that corruption is drawn anew for each. `attempt` is the completion that feedback speaks of.

    Raises:
        JobError: `hint_level_too_high`.
    """
    if context.kind is ContextKind.none:
        return BuiltContext(None, "kind_is_none")
    if derive_unit("coverage", seed, problem.id) >= context.corruption.coverage:
        return BuiltContext(None, "not_covered")
    if context.kind is ContextKind.feedback and attempt is None:
        return BuiltContext(None, "no_attempt")
    corrupted = derive_unit("corruption", seed, problem.id, draw) < context.corruption.rate
    needs_other = corrupted or context.kind is ContextKind.placebo
    source = another_problem(task, problem, seed=seed, draw=draw) if needs_other else problem
    return BuiltContext(_text(context, task, source, attempt or "", corrupted, seed, draw), corrupted=corrupted)


def another_problem(task: Task, problem: Problem, *, seed: int, draw: str) -> Problem:
    """A problem of the same split with another answer, drawn with the rollout's own seed."""
    others = [other for other in task.problems(problem.split) if other.answer != problem.answer]
    if not others:
        message = f"Task {task.name!r} has one answer only: no wrong context exists."
        raise JobError("no_other_problem", message, "context")
    return others[derive_seed("other", seed, problem.id, draw) % len(others)]


def teacher_prompt(problem: Problem, built: BuiltContext) -> str:
    """The self-teacher's prompt; without a context it is exactly the student's."""
    if built.text is None:
        return problem.prompt
    return fill(TEACHER_PROMPT, context=built.text, prompt=problem.prompt)


def require_fit(problem: Problem, prompt_tokens: int, max_tokens: int, context_length: int) -> None:
    """Refuses a prompt that leaves no room for the completion: nothing is ever cut silently.

    Raises:
        JobError: `context_too_long`, which names the problem and the three token counts.
    """
    if prompt_tokens + max_tokens > context_length:
        raise JobError(
            "context_too_long",
            f"Problem {problem.id}: its prompt has {prompt_tokens} tokens and the completion may have {max_tokens}, "
            f"but the model's context holds {context_length}.",
            "context",
        )


def _text(context: Context, task: Task, source: Problem, attempt: str, corrupted: bool, seed: int, draw: str) -> str:
    """The block of the context's kind, filled from `source`: the problem itself, or another one where it is wrong."""
    template = BLOCKS[context.kind]
    if context.kind is ContextKind.static:
        text = context.options["text"] or task.preamble
        # A static text says nothing about one problem, so its wrong form is the text itself in disorder.
        return fill(template, text=_shuffled_words(text, derive_seed("words", seed, draw)) if corrupted else text)
    if context.kind is ContextKind.feedback:
        return fill(template, feedback=task.feedback(source, attempt))
    if context.kind is ContextKind.hints:
        return fill(template, hints=task.hint_text(source, _hint_level(context, task)))
    return fill(template, solution=source.reference_solution)


def _hint_level(context: Context, task: Task) -> int:
    level = context.options["level"]
    if level is None:
        return task.hint_levels
    if level > task.hint_levels:
        raise JobError(
            "hint_level_too_high",
            f"Task {task.name!r} has {task.hint_levels} graded hints a problem, not {level}.",
            "context.options.level",
        )
    return int(level)


def _shuffled_words(text: str, seed: int) -> str:
    words = text.split()
    random.Random(seed).shuffle(words)  # noqa: S311 - a control, not a secret
    return " ".join(words)
