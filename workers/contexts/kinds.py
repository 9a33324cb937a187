"""The context kinds: each with its builder, and with the blocks that its text is shown in.

Change a block and `gapcast.contract.contexts.TEMPLATE_VERSION` changes with it, as with `workers.contexts.templates`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gapcast.contract.contexts import (
    AllContext,
    ColumnContext,
    ContextOfAKind,
    FeedbackContext,
    FeedbackOptions,
    HintsContext,
    PeerSolutionContext,
    ReferenceSolutionContext,
    ShuffledFeedbackContext,
    StaticContext,
)
from workers.contexts.feedback import feedback_text
from workers.contexts.material import Material
from workers.contexts.templates import fill
from workers.failures import JobError
from workers.tasks import Problem, Task
from workers.tasks.answers import answer_part


@dataclass(frozen=True)
class Block:
    """One piece of a context."""

    kind: str
    """One of the kinds in `BLOCKS`."""
    text: str


@dataclass(frozen=True)
class BuiltContext:
    """A context, or the reason why there is none."""

    blocks: tuple[Block, ...] = ()
    reason: str | None = None
    """Null where there are blocks; else `kind_is_none`, `not_covered`, `no_attempt`, `no_feedback` (the verifier says
    nothing), `no_feedback_on_success`, `no_success_in_group`, `no_hints`, `no_reference_solution`, `no_column_text` or
    `no_donor`."""
    corrupted: bool = False
    """Whether it is wrong on purpose: another problem's, or a static text in disorder."""

    @property
    def text(self) -> str | None:
        """The context as one text, in the completion shape; null where there is none."""
        return "\n\n".join(fill(BLOCKS[block.kind], text=block.text) for block in self.blocks) or None


OneKind = TypeVar("OneKind", bound=ContextOfAKind)
Builder = Callable[[OneKind, Task, Material], BuiltContext]

BUILDERS: dict[type[ContextOfAKind], Builder[Any]] = {}
"""The builder of each kind: the right context, whichever problem the material is of."""
BLOCKS: dict[str, str] = {}
"""The completion shape's block of each kind that has a text of its own."""
CHAT_BLOCKS: dict[str, str] = {}
"""The chat shape's block of each of those kinds."""


def builds(
    kind: type[OneKind], *, block: str | None = None, chat_block: str | None = None
) -> Callable[[Builder[OneKind]], Builder[OneKind]]:
    """Register a kind's builder and its blocks; a kind without blocks shows those of other kinds."""

    def register(builder: Builder[OneKind]) -> Builder[OneKind]:
        BUILDERS[kind] = builder
        if block is not None and chat_block is not None:
            BLOCKS[kind.name()], CHAT_BLOCKS[kind.name()] = block, chat_block
        return builder

    return register


@builds(StaticContext, block="{text}", chat_block="{text}")
def _static(context: StaticContext, task: Task, material: Material) -> BuiltContext:
    return BuiltContext((Block("static", context.options.text or task.preamble),))


@builds(PeerSolutionContext, block="Solution: {text}", chat_block="## A correct solution\n\n{text}")
def _peer_solution(context: PeerSolutionContext, task: Task, material: Material) -> BuiltContext:
    solution = peer_solution(material, strip_thinking=context.options.strip_thinking)
    return _one("peer_solution", solution, "no_success_in_group")


@builds(ReferenceSolutionContext, block="Solution: {text}", chat_block="## Reference solution\n\n{text}")
def _reference_solution(context: ReferenceSolutionContext, task: Task, material: Material) -> BuiltContext:
    return _one("reference_solution", material.problem.reference_solution, "no_reference_solution")


@builds(HintsContext, block="Hints: {text}", chat_block="## Hints\n\n{text}")
def _hints(context: HintsContext, task: Task, material: Material) -> BuiltContext:
    if context.options.source == "model":
        return _one("hints", material.hints, "no_hints")
    return _one("hints", _task_hints(task, material.problem, context.options.level), "no_hints")


@builds(FeedbackContext, block="Feedback: {text}", chat_block="## Feedback on an earlier attempt\n\n{text}")
def _feedback(context: FeedbackContext, task: Task, material: Material) -> BuiltContext:
    return _feedback_on_own(context.options, material)


@builds(ShuffledFeedbackContext)
def _shuffled_feedback(context: ShuffledFeedbackContext, task: Task, material: Material) -> BuiltContext:
    return _feedback_on_own(context.options, material)


# whoever wrote the column says what it is
@builds(ColumnContext, block="{text}", chat_block="## Further information\n\n{text}")
def _column(context: ColumnContext, task: Task, material: Material) -> BuiltContext:
    return _one("column", material.problem.privileged_context, "no_column_text")


@builds(AllContext)
def _all(context: AllContext, task: Task, material: Material) -> BuiltContext:
    solution = peer_solution(material, strip_thinking=context.options.strip_thinking)
    texts = {"peer_solution": solution, "hints": _task_hints(task, material.problem, None)}
    blocks = tuple(Block(kind, text) for kind, text in texts.items() if text)
    if solution is None or context.options.feedback_with_solution:
        blocks += _feedback_on_own(context.options, material).blocks
    return BuiltContext(blocks) if blocks else BuiltContext(reason="no_success_in_group")


def peer_solution(material: Material, *, strip_thinking: bool) -> str | None:
    """The first success of the group other than the rollout itself; null where there is none."""
    successes = (peer.text for peer in material.peers if peer.verdict.success)
    shown = ((answer_part(text) if strip_thinking else text).strip() for text in successes)
    return next((text for text in shown if text), None)


def _feedback_on_own(options: FeedbackOptions, material: Material) -> BuiltContext:
    if material.own is None:
        return BuiltContext(reason="no_attempt")
    verdict = material.own.verdict
    if verdict.success and options.on_success == "none":
        return BuiltContext(reason="no_feedback_on_success")
    return _one("feedback", feedback_text(verdict, options), "no_feedback")


def _task_hints(task: Task, problem: Problem, level: int | None) -> str | None:
    """The first `level` hints, all of them for null; null where the problem has none."""
    if not problem.hints:
        return None
    if level is not None and level > len(problem.hints):
        raise JobError(
            "hint_level_too_high",
            f"Problem {problem.id} of task {task.name!r} has {len(problem.hints)} graded hints, not {level}.",
            "context.options.level",
        )
    return task.hint_text(problem, level or len(problem.hints))


def _one(kind: str, text: str | None, reason: str) -> BuiltContext:
    return BuiltContext((Block(kind, text),)) if text else BuiltContext(reason=reason)
