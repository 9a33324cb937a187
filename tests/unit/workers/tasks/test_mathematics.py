import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gapcast.contract.problems import MathVerifier
from workers.failures import JobError
from workers.tasks import Problem, Split, Verdict, mathematics
from workers.tasks.mathematics import MathAnswers, session

pytest.importorskip("math_verify")


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    session.end_all()


def verify(answer: str | None, completion: str, **options: Any) -> Verdict:
    problem = Problem(id="p", split=Split.train, prompt="?", answer=answer)
    return MathAnswers(MathVerifier(**options))(problem, completion)


@pytest.mark.parametrize(
    ("answer", "completion", "score"),
    [
        (r"\frac{1}{2}", r"\boxed{0.5}", 1),
        (r"\sqrt{12}", r"So \boxed{2\sqrt{3}}.", 1),
        (r"\sqrt{12}", r"So \boxed{3\sqrt{2}}.", 0),
        ("[0,1)", r"\boxed{[0,1)}", 1),
        ("[0,1)", r"\boxed{(0,1)}", 0),
        (r"\{1,2\}", r"\boxed{1} and \boxed{2}", 1),
        (r"\{1,2\}", r"\boxed{\{2,1\}}", 1),
        ("6, -2", r"\boxed{6, -2}", 1),
        ("6, -2", r"\boxed{-2}", 0),
        ("1,234", r"\boxed{1{,}234}", 1),
        ("x^2+1", "The answer is $1+x^2$", 1),
        ("x^2+1", "<answer>1+x^2</answer>", 1),
        (r"2\pi", r"\boxed{6.283185307}", 1),
        ("2x + z = 1", r"\boxed{1}", 0),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\boxed{\begin{pmatrix} 1 \\ 2 \end{pmatrix}}", 1),
        (r"\text{even}", r"\boxed{\text{even}}", 1),
        ("9500", r"\boxed{9\ 500}", 1),
        ("42", "答案是42。", 1),
        (r"\frac{1}{3}", r"\boxed{0.333}", 0),
    ],
)
def test_equal_as_mathematics(answer: str, completion: str, score: float) -> None:
    verdict = verify(answer, completion)
    assert verdict.score == score
    assert verdict.read


def test_numbers_agree_to_the_digits_that_are_asked_for() -> None:
    assert verify(r"\frac{1}{3}", r"\boxed{0.333}", digits=3).success


def test_a_comparison_without_end_is_stopped_and_the_next_one_is_right() -> None:
    started = time.monotonic()
    verdict = verify("5", r"\boxed{9^{9^{9^{9}}}}", seconds=0.5)
    assert verdict.score == 0
    assert verdict.note == "The answer was not compared: it took more than 0.5 s of processor time."
    assert time.monotonic() - started < 60
    assert verify(r"\pi", r"$\pi$").success


def test_one_process_answers_until_it_is_killed() -> None:
    assert verify(r"\pi", r"$\pi$").success
    first = session._idle[-1]
    assert verify("x", "$x$").success
    assert session._idle[-1] is first
    os.kill(first._process.pid, 9)
    first._process.wait()
    assert verify("x", "$x$").score == 0
    assert verify("x", "$x$").success


def test_a_completion_without_mathematics() -> None:
    verdict = verify("x", "")
    assert (verdict.score, verdict.read) == (0, None)
    assert verdict.note == "There is no formula or number in the completion."


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mathematics.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(JobError, match=r"pip install 'gapcast\[math\]'") as failure:
        MathAnswers(MathVerifier())
    assert failure.value.code == "verifier_not_found"


@pytest.mark.parametrize("answer", [None, " "])
def test_an_answer_that_is_none_is_the_tasks_fault(answer: str | None) -> None:
    with pytest.raises(JobError, match="Problem p") as failure:
        verify(answer, "$x$")
    assert failure.value.code == "verifier_failed"
