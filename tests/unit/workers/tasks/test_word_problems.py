"""The shipped word problems are right: every answer is computed again, from the prompt's numbers, by other formulas."""

import re
from collections.abc import Callable
from fractions import Fraction
from math import ceil

import pytest

from workers.tasks import Problem, Split, load_task
from workers.tasks.file_task import FileTask

F = Fraction

FORMULAS: dict[str, Callable[..., Fraction]] = {
    "bakery": lambda a, b, c: a * b - c,
    "tank": lambda volume, gain, loss: volume / (gain - loss),
    "cards": lambda n, s, k, p: n * s * (1 - 1 / k) + p,
    "laps": lambda pool, n, minutes, km: km * minutes * 1000 / (pool * n),
    "animals": lambda heads, legs: legs / 2 - heads,
    "coins": lambda n, _five, _twenty, cents, _again: (cents - 5 * n) / (20 - 5),
    "reading": lambda pages, d, a, b: d + (pages - d * a) / b,
    "fence": lambda a, b, gap, price: (a + b) * 2 * price / gap,
    "ribbon": lambda metres, piece, cents: metres / (piece / 100) * (cents / 100),
    "discount": lambda p, a, b: p * (1 - a / 100) * (1 - b / 100),
    "quiz": lambda n, mean, goal: goal + n * (goal - mean),
    "pancakes": lambda f, s, n, have: f * n / s - have,
    "savers": lambda a, b, c, d: (b * c - a * d) / (b - d),
    "lessons": lambda h, n, m, k: 60 * h - n * (m + k) + k,
    "pallets": lambda a, b, c, n, w, t: 1000 * t - a * b * c * n * w,
    "running": lambda a, k, n: sum((a + i * k for i in range(int(n))), F(0)),
    "parking": lambda a, b, h, note: note - 2 * (a + b * (h - 1)),
    "paint": lambda a, b, c, d, t: F(ceil(2 * (a * b - c) / (d * t))),
    "trip": lambda s, t, k, p, e: ceil((s + t) / k) * p + s * e,
    "juice": lambda a, p, b, q: (a * p + b * q) / (a + b),
    "builders": lambda a, d, e, b: e + a * (d - e) / (a - b),
    "orchard": lambda a, b, c, d, t: a * b * d * (100 - c) / 100 - t,
    "latebook": lambda a, w, b, cap, days: min(cap, w * (a - b) + days * b),
    "tiles": lambda a, b, c, k: F(ceil(a * b / (c / 100) ** 2 / k)),
    "phone": lambda a, b, c, m: 12 * abs(a - b - c * m / 100),
    "exchange": lambda a, r, b, s, fee: (a * r - b) * s - fee,
    "honey": lambda n, k, g, p, c: n * (1000 * k / g * p - c),
    "lift": lambda w, k, m, n, b: F(ceil(n / ((w - k * m) // b))),
    "bus": lambda a, b, c, d: a - b + c + d,
    "ages": lambda m, s, k: (m - k * s) / (k - 1),
    "candles": lambda h, r, g, q: h - r * (g - h) / (q - r),
    "avenue": lambda length, d, p: 2 * p * (length / d + 1),
    "waterbill": lambda f, b, a, c, u: f + u * c - a * (c - b),
    "tap": lambda n, drops, ml: n * 1440 / drops * ml / 1000,
    "trains": lambda d, u, h, v: v * (d - u * h) / (u + v),
    "cinema": lambda a, d, r, p: (1 - p / 100) * sum((a + i * d for i in range(int(r))), F(0)),
}


@pytest.fixture(scope="module")
def task() -> FileTask:
    loaded = load_task("gapcast/word-problems")
    assert isinstance(loaded, FileTask)
    return loaded


@pytest.fixture(scope="module")
def problems(task: FileTask) -> list[Problem]:
    return [problem for split in Split for problem in task.problems(split)]


def numbers(text: str) -> list[Fraction]:
    return [Fraction(number) for number in re.findall(r"\d+(?:\.\d+)?", text)]


def test_every_answer_is_what_another_formula_says(problems: list[Problem]) -> None:
    wrong = {}
    for problem in problems:
        value = FORMULAS[problem.id.rpartition("-")[0]](*numbers(problem.text))
        if value != Fraction(str(problem.answer)):
            wrong[problem.id] = (problem.answer, value)
    assert not wrong
    assert {problem.id.rpartition("-")[0] for problem in problems} == set(FORMULAS)


def test_every_step_of_every_solution_is_right_and_the_last_one_is_the_answer(problems: list[Problem]) -> None:
    equation = re.compile(r"((?:\d+(?:\.\d+)? [-+*/] )+\d+(?:\.\d+)?) = (\d+(?:\.\d+)?)")
    for problem in problems:
        steps = equation.findall(str(problem.reference_solution))
        assert len(steps) >= 2, problem.id
        for left, right in steps:
            exact = re.sub(r"\d+(?:\.\d+)?", lambda number: f"F('{number[0]}')", left)
            assert eval(exact, {"F": Fraction}) == Fraction(right), f"{problem.id}: {left} = {right}"
        if not problem.id.startswith("latebook"):  # its last step compares with a limit
            assert steps[-1][1] == problem.answer, problem.id


def test_every_reference_solution_passes_and_near_misses_fail(task: FileTask, problems: list[Problem]) -> None:
    for problem in problems:
        assert task.verify(problem, str(problem.reference_solution)).success, problem.id
        assert task.verify(problem, f"It is {problem.answer}.").success, problem.id
        answer = Fraction(str(problem.answer))
        for other in (answer + 1, -answer, answer * 10, answer * 2):
            verdict = task.verify(problem, rf"\boxed{{{float(other)}}}")
            assert verdict.score == 0, problem.id
            assert str(problem.answer) not in verdict.note


def test_what_a_careless_reader_would_answer_fails(task: FileTask) -> None:
    """One wrong turn a situation, the one that its remark warns of."""
    careless: dict[str, Callable[..., Fraction]] = {
        "tank": lambda volume, gain, _loss: volume / gain,
        "coins": lambda n, _five, _twenty, cents, _again: (cents - 5 * n) / 20,
        "fence": lambda a, b, gap, price: ((a + b) * 2 / gap + 1) * price,
        "discount": lambda p, a, b: p * (1 - (a + b) / 100),
        "quiz": lambda _n, mean, goal: 2 * goal - mean,
        "lessons": lambda h, n, m, k: 60 * h - n * (m + k),
        "running": lambda a, k, n: n * (a + a + n * k) / 2,
        "parking": lambda a, b, h, note: note - 2 * (a + b * h),
        "paint": lambda a, b, c, d, t: (a * b - c) * 2 / (d * t),
        "juice": lambda _a, p, _b, q: (p + q) / 2,
        "builders": lambda a, d, e, b: a * d / (a - b),
        "avenue": lambda length, d, p: 2 * p * length / d,
        "waterbill": lambda f, _b, _a, c, u: f + u * c,
        "trains": lambda d, u, _h, v: v * d / (u + v),
        "cinema": lambda a, d, r, p: p / 100 * r * (2 * a + (r - 1) * d) / 2,
    }
    for split in Split:
        for problem in task.problems(split):
            turn = careless.get(problem.id.rpartition("-")[0])
            if turn is not None:
                answer = float(turn(*numbers(problem.text)))
                assert task.verify(problem, rf"\boxed{{{answer:.6f}}}").score == 0, problem.id


def test_held_out_situations_are_never_trained_on(task: FileTask) -> None:
    situations = {split: {problem.id.rpartition("-")[0] for problem in task.problems(split)} for split in Split}
    assert not situations[Split.train] & situations[Split.held_out]


def test_no_hint_gives_the_answer_away(task: FileTask, problems: list[Problem]) -> None:
    for problem in problems:
        assert len(problem.hints) == 3
        told = set(numbers(task.hint_text(problem, 3) + str(problem.privileged_context)))
        assert Fraction(str(problem.answer)) not in told - set(numbers(problem.text)), problem.id
