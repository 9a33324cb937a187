"""Prompts to tokens: texts, and chats by the model's own template."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from workers.engines.protocol import Prompt, Request, Sampling
from workers.failures import JobError
from workers.tasks.answers import opens_thinking


class PromptEncoder:
    """Renders and encodes prompts with one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401 - transformers has no types
        self._tokenizer = tokenizer
        self._fast = getattr(tokenizer, "backend_tokenizer", None)

    @property
    def has_chat_template(self) -> bool:
        """Whether prompts are rendered as chats."""
        return bool(self._tokenizer.chat_template)

    def encode(self, prompt: Prompt, *, thinking: bool = False) -> tuple[int, ...]:
        """The tokens of a prompt; a text is one user message for a model with a chat template.

        Raises:
            JobError: `no_chat_template`, `thinking_not_supported`, `chat_template_failed` or `empty_prompt`.
        """
        # a template writes the special tokens itself: the tokenizer must not add them again
        tokens = self._tokens(self.text(prompt, thinking=thinking), special=not self.has_chat_template)
        if not tokens:
            raise empty_prompt()
        return tuple(int(token) for token in tokens)

    def text(self, prompt: Prompt, *, thinking: bool = False) -> str:
        """The text whose tokens a prompt is: of a chat what the template writes.

        Raises:
            JobError: `no_chat_template`, `thinking_not_supported` or `chat_template_failed`.
        """
        if not self.has_chat_template:
            if not isinstance(prompt, str):
                raise no_chat_template()
            if thinking:
                raise thinking_not_supported()
            return prompt
        if thinking and not self._has_thinking:
            raise thinking_not_supported()
        return self._render(messages_of(prompt), thinking)

    def opens_thinking(self, *, thinking: bool = False) -> bool:
        """True if the template's prompts end inside a thinking part (`Engine.opens_thinking`)."""
        return self.has_chat_template and opens_thinking(self._render(messages_of("1+1=?"), thinking))

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        if self._fast is not None:
            # without the call's wrapping, which costs four times the encoding of a short prompt
            return list(self._fast.encode(text, add_special_tokens=special).ids)
        return list(self._tokenizer(text, add_special_tokens=special)["input_ids"])

    @cached_property
    def _has_thinking(self) -> bool:
        """Whether the template renders a chat otherwise when it is asked to let the model think."""
        chat = messages_of("1+1=?")
        return self._render(chat, thinking=True) != self._render(chat, thinking=False)

    def _render(self, messages: list[dict[str, str]], thinking: bool) -> str:
        try:
            text = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
            )
        except Exception as error:  # a template is a program of the model's maker: it may raise whatever it likes
            raise chat_template_failed(f"{type(error).__name__}: {error}") from error
        return str(text)


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """The prompt as chat messages."""
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(message) for message in prompt]


def no_chat_template() -> JobError:
    """The failure of chat messages for a model without a template."""
    return JobError(
        "no_chat_template",
        "The task's prompts are chat messages, but the model has no chat template: use prompts that are plain texts, "
        "or a model that was trained for chats.",
        "task",
    )


def thinking_not_supported() -> JobError:
    """The failure of `thinking` for a model that has no such mode."""
    return JobError(
        "thinking_not_supported",
        "The model's chat template has no thinking mode: leave decoding.thinking false.",
        "decoding.thinking",
    )


def chat_template_failed(why: str) -> JobError:
    """The failure of a template that refuses the messages, or is wrong."""
    return JobError("chat_template_failed", f"The model's chat template failed: {why}"[:500], "task")


def empty_prompt() -> JobError:
    """The failure of a prompt that has no token."""
    return JobError("empty_prompt", "A prompt of the task has no tokens at all: there is nothing to complete.", "task")


def require_room(requests: Sequence[Request], sampling: Sampling, context_length: int) -> None:
    """Refuses a prompt that leaves no room for the completion: nothing is ever cut silently.

    Raises:
        JobError: `context_too_long`.
    """
    longest = max((len(request.tokens) for request in requests), default=0)
    if longest + sampling.max_tokens > context_length:
        raise JobError(
            "context_too_long",
            f"A prompt has {longest} tokens and the completion may have {sampling.max_tokens}, "
            f"but the model's context holds {context_length}.",
            "context",
        )


def end_tokens(tokenizer: Any, named: int | list[int] | None) -> frozenset[int]:  # noqa: ANN401 - transformers has no types
    """Every token that ends a text, given those that the model's generation_config names.

    A chat model ends its turns with another token than its tokenizer's.
    """
    several = named if isinstance(named, list) else [named]
    return frozenset(int(token) for token in (*several, tokenizer.eos_token_id) if token is not None)
