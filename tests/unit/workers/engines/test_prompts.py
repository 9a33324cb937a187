from pathlib import Path

import pytest
import transformers

from workers.engines import model_folder
from workers.engines.prompts import PromptEncoder, end_tokens
from workers.engines.sampling import cut_before
from workers.failures import JobError


def encoder(template: str | None) -> PromptEncoder:
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder("lab/addition-qwen3-s"))
    tokenizer.chat_template = template
    return PromptEncoder(tokenizer)


def refusal(template: str | None, *, thinking: bool = False) -> JobError:
    with pytest.raises(JobError) as failure:
        encoder(template).encode([{"role": "user", "content": "1+1"}], thinking=thinking)
    return failure.value


CONTENT = "{{ messages[0].content }}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('never') }}",
        "{% for message in %}",
        "{{ messages[0].content.no.such }}",
        "{{ messages | no_such_filter }}",
        "{{ 1 / 0 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    ],
)
def test_whatever_a_template_does_it_fails_by_name(template: str) -> None:
    error = refusal(template)
    assert (error.code, error.param, error.category) == ("chat_template_failed", "task", "user")


def test_thinking_needs_a_template_that_knows_it() -> None:
    error = refusal(CONTENT, thinking=True)
    assert (error.code, error.param) == ("thinking_not_supported", "decoding.thinking")
    switch = CONTENT + "{% if not enable_thinking %}<none>{% endif %}"
    thinks, does_not = (encoder(switch).encode("1+1", thinking=thinking) for thinking in (True, False))
    assert does_not[: len(thinks)] == thinks
    assert len(does_not) == len(thinks) + len("<none>")


def test_says_where_a_template_opens_the_thinking_part_itself() -> None:
    assert encoder(CONTENT + "<think>\n").opens_thinking()
    switch = encoder(CONTENT + "<think>\n{% if not enable_thinking %}\n</think>\n\n{% endif %}")
    assert switch.opens_thinking(thinking=True)
    assert not switch.opens_thinking()
    assert not encoder(None).opens_thinking()


def test_messages_need_a_template() -> None:
    error = refusal(None)
    assert (error.code, error.param) == ("no_chat_template", "task")


def test_the_template_alone_writes_special_tokens(tmp_path: Path) -> None:
    chat = encoder("<|end|>" + CONTENT).encode("7")
    assert chat == (0, 27)


def test_a_rendering_without_tokens_is_refused() -> None:
    assert refusal("{# nothing #}").code == "empty_prompt"


def test_every_named_token_ends_a_text() -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(model_folder("lab/addition-qwen3-s"))
    assert end_tokens(tokenizer, None) == {0}
    assert end_tokens(tokenizer, 27) == {0, 27}
    assert end_tokens(tokenizer, [26, 27]) == {0, 26, 27}


@pytest.mark.parametrize(
    ("text", "stop", "cut"),
    [("abcabc", ("c",), "ab"), ("abcabc", ("x", "bc", "c"), "a"), ("abc", ("x",), "abc"), ("abc", (), "abc")],
)
def test_a_text_is_cut_before_the_first_stop(text: str, stop: tuple[str, ...], cut: str) -> None:
    assert cut_before(text, stop) == cut
