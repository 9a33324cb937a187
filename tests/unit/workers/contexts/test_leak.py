import pytest

from tests.unit.workers.contexts.sums import problem
from workers.contexts import leak

SOLUTION = " ".join(f"step{k} adds {k} to the sum" for k in range(30))


def copied(answer: str, context: str) -> bool:
    return leak([(problem(3), answer, context)])["copied"] == 1.0


def contains(context: str, **changes: object) -> bool:
    return leak([(problem(3, **changes), "nothing", context)])["contains_answer"] == 1.0


def test_nothing_shown() -> None:
    assert leak([]) == {"copied": 0.0, "contains_answer": 0.0}


def test_shares() -> None:
    shown = [(problem(6), "12", "Solution: 12"), (problem(6), "13", "Solution: 12"), (problem(6), "9", "Think.")]
    assert leak([*shown, shown[2]]) == {"copied": 0.25, "contains_answer": 0.5}


class TestCopied:
    def test_a_short_answer_stands_there_as_whole_words(self) -> None:
        assert copied("12", "The answer is 12.")
        assert copied(" It  is\n12 ", "so: It is 12")
        assert not copied("12", "The answer is 128")
        assert not copied("12", "About 12.5 or 3.12 or x12")
        assert not copied("", "anything")

    def test_the_answer_is_what_follows_the_thinking(self) -> None:
        assert copied("<think>hm, 7 and 5</think>12", "Solution: 12")
        assert not copied("<think>12", "Solution: 12")

    def test_a_long_answer_with_one_word_in_forty_changed(self) -> None:
        words = SOLUTION.split()
        assert copied(SOLUTION, f"Solution: {SOLUTION}")
        for k in range(10, len(words), 60):
            words[k] = "changed"
        assert copied(" ".join(words), SOLUTION)
        assert copied(SOLUTION.upper().replace(" ", "\n"), SOLUTION)

    def test_a_long_answer_in_its_own_words(self) -> None:
        words = SOLUTION.split()
        for k in range(0, len(words), 6):
            words[k] = "changed"
        assert not copied(" ".join(words), SOLUTION)
        half = len(words) // 2
        assert not copied(SOLUTION[: len(SOLUTION) // 2] + " " + " ".join(words[half:]), SOLUTION)

    def test_a_long_answer_of_few_words_stands_there_whole(self) -> None:
        code = "_".join(f"part{k}" for k in range(20))
        assert copied(code, f"use {code} here")
        assert not copied(code, f"use {code}x here")

    def test_scripts_without_spaces(self) -> None:
        text = "".join(chr(0x4E00 + 7 * k) for k in range(100))
        assert copied(text, f"解答\n{text}")
        assert copied(text[:40] + "変" + text[41:], text)
        assert not copied(text[::-1], text)


class TestContainsAnswer:
    def test_as_a_whole_token(self) -> None:
        assert contains("It is 6.")
        assert contains("(6)")
        assert not contains("It is 16, or 60, or 6.5, or 0.6, or 6_")

    @pytest.mark.parametrize("answer", [r"\frac{1}{2}", "f(x) = {2}", "é日", "a.b", "+"])
    def test_answers_are_no_patterns(self, answer: str) -> None:
        assert contains(f"so {answer} it is", answer=answer)
        assert not contains("so axb it is", answer=answer)

    def test_the_reference_solution_where_there_is_no_answer(self) -> None:
        assert contains(SOLUTION, answer=None, reference_solution=SOLUTION)
        assert not contains("step0 adds 0", answer=None, reference_solution=SOLUTION)

    def test_its_code_where_it_has_code(self) -> None:
        solution = f"We go step by step.\n```python\nprint('{SOLUTION}')\n```\nDone."
        assert contains(f"print('{SOLUTION}')", answer=None, reference_solution=solution)
        assert not contains("We go step by step. Done.", answer=None, reference_solution=solution)

    def test_neither(self) -> None:
        assert not contains("anything", answer=None, reference_solution=None)
