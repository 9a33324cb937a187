import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.tasks.answers import answer_part, closes_thinking, opens_thinking

TAGS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
]
PLAIN = st.text(alphabet="ab <>/[]\n12.", max_size=40)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("1032", "1032"),
        ("  1032\n", "  1032\n"),
        ("<think>a</think>\n\n1032", "1032"),
        ("a, so b</think>1032", "1032"),
        ("<think>never closed 1032", ""),
        ("<think></think>1032", "1032"),
        ("a</think>b<think>c</think>1032", "1032"),
        ("<think>a</think>1032\n<think>or not", "1032"),
        ("<think>a</think>", ""),
        ("", ""),
        ("</think>I used a <think> block. 42", "I used a <think> block. 42"),
        ("I used a <think> block. 42", "I used a <think> block. 42"),
        ("42\n <think>or not", "42"),
        # gpt-oss, with and without its special tokens
        ("analysisIs it 41? No.assistantfinal42", "42"),
        ("analysis\n\nNo.assistantcommentary to=functions.f{}assistantfinal42", "42"),
        ("analysisIs it 41? No, but", ""),
        ("final42", "42"),
        ("analysis of the case: 42", "analysis of the case: 42"),
        ("finally 42", "finally 42"),
        (
            "<|channel|>analysis<|message|>41?<|end|><|start|>assistant<|channel|>final<|message|>It is 42.<|return|>",
            "It is 42.",
        ),
        ("<|channel|>analysis<|message|>Is it 41? No, but", ""),
        ("<|channel|>commentary to=functions.f <|message|>{}<|call|>", ""),
    ],
)
def test_examples(text: str, answer: str) -> None:
    assert answer_part(text) == answer


@pytest.mark.parametrize(("opens", "closes"), TAGS)
@given(thoughts=PLAIN, answer=PLAIN, opened=st.booleans())
def test_what_follows_the_thinking_is_the_answer(
    opens: str, closes: str, thoughts: str, answer: str, opened: bool
) -> None:
    text = f"{'' if opened else opens}{thoughts}{closes}{answer}"
    assert answer_part(text, opened=opened) == answer.strip()
    assert closes_thinking(text)


@pytest.mark.parametrize(("opens", "closes"), TAGS)
@given(thoughts=PLAIN)
def test_thinking_that_is_not_closed_leaves_nothing(opens: str, closes: str, thoughts: str) -> None:
    assert answer_part(opens + thoughts) == ""
    assert answer_part(thoughts, opened=True) == ""
    assert not closes_thinking(opens + thoughts)


@given(PLAIN)
def test_a_text_that_never_thinks_is_its_own_answer(text: str) -> None:
    assert answer_part(text) == text


@given(st.lists(st.one_of(st.sampled_from([tag for pair in TAGS for tag in pair]), PLAIN), max_size=8).map("".join))
def test_nothing_is_added(text: str) -> None:
    assert answer_part(text) in text


@pytest.mark.parametrize("opens", [opens for opens, _ in TAGS])
def test_a_prompt_that_ends_with_an_opening_tag_opens_thinking(opens: str) -> None:
    assert opens_thinking(f"<|im_start|>assistant\n{opens}\n")
    assert not opens_thinking(f"say {opens} first\n<|im_start|>assistant\n")


def test_a_prompt_whose_thinking_is_closed_does_not_open_it() -> None:
    assert not opens_thinking("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert not opens_thinking("")


@pytest.mark.parametrize("part", ["<think>", "</think>", "\n<think>", "<think", "<|channel|>", "analysis", "[THINK]"])
def test_a_long_text_of_anything_is_parted_in_a_moment(part: str) -> None:
    started = time.process_time()
    answer_part(part * (500_000 // len(part)))
    assert time.process_time() - started < 5
