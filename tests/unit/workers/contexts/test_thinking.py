import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.contexts import answer_part

PLAIN = st.text(max_size=40).filter(lambda text: "think>" not in text)
PIECES = st.lists(st.one_of(st.sampled_from(["<think>", "</think>"]), PLAIN), max_size=8).map("".join)


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
        ("<think>a</think>1032<think>or not", "1032"),
        ("<think>a</think>", ""),
        ("", ""),
    ],
)
def test_examples(text: str, answer: str) -> None:
    assert answer_part(text) == answer


@given(thoughts=PLAIN, answer=PLAIN, opened=st.booleans())
def test_what_follows_the_thinking_is_the_answer(thoughts: str, answer: str, opened: bool) -> None:
    assert answer_part(f"{'<think>' if opened else ''}{thoughts}</think>{answer}") == answer.strip()


@given(PLAIN)
def test_unclosed_thinking_leaves_nothing(thoughts: str) -> None:
    assert answer_part(f"<think>{thoughts}") == ""


@given(PIECES)
def test_no_tag_is_left_and_nothing_is_added(text: str) -> None:
    answer = answer_part(text)
    assert "<think>" not in answer
    assert "</think>" not in answer
    assert answer in text
    assert answer_part(answer) == answer
