"""What the model is asked: the student's prompt, and the self-teacher's with its context."""

from collections.abc import Callable

from workers.contexts.kinds import CHAT_BLOCKS, BuiltContext
from workers.contexts.templates import CHAT_PREAMBLE, CHAT_PROMPT, TEACHER_PROMPT, Shape, fill
from workers.engines import Engine, Prompt
from workers.failures import JobError
from workers.tasks import Problem


def prompt_shape(engine: Engine) -> Shape:
    """The shape of prompts for the engine's model."""
    return "chat" if engine.has_chat_template else "completion"


def student_prompt(problem: Problem) -> Prompt:
    """The problem's prompt, as an engine takes it."""
    if isinstance(problem.prompt, str):
        return problem.prompt
    return tuple(dict(message) for message in problem.prompt)


def teacher_prompt(problem: Problem, built: BuiltContext, shape: Shape) -> Prompt:
    """The self-teacher's prompt; without a context it is exactly the student's.

    Raises:
        JobError: `no_chat_template` for messages in the shape `completion`, `no_user_message` for messages that ask
            nothing.
    """
    if built.text is None:
        return student_prompt(problem)
    if shape == "chat":
        blocks = "\n\n".join(fill(CHAT_BLOCKS[block.kind], text=block.text) for block in built.blocks)
        frame = CHAT_PREAMBLE if built.blocks[0].kind == "static" else CHAT_PROMPT
        return _with_question(problem, lambda question: fill(frame, prompt=question, context=blocks))
    if not isinstance(problem.prompt, str):
        message = f"Problem {problem.id} is a chat, and the model has no chat template."
        raise JobError("no_chat_template", message, "model")
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
            f"but the model's context holds {context_length}: lower decoding.max_tokens, or take a shorter context.",
            "decoding.max_tokens",
        )


def _with_question(problem: Problem, change: Callable[[str], str]) -> Prompt:
    """The prompt with its question changed: the text itself, or the last message of the user."""
    if isinstance(problem.prompt, str):
        return change(problem.prompt)
    messages = [dict(message) for message in problem.prompt]
    for message in reversed(messages):
        if message["role"] == "user":
            message["content"] = change(message["content"])
            return tuple(messages)
    raise JobError("no_user_message", f"Problem {problem.id} has no message of the user.", "task")
