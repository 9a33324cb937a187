import time
from fractions import Fraction

import pytest

from gapcast.contract.numbers import last_number, parse_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", "42"),
        ("The answer is 42.", "42"),
        ("first 3, then 1,234,567 of them", "1234567"),
        ("It costs $1,234.50 in total.", "1234.5"),
        ("-$5", "-5"),
        ("$-5", "-5"),
        ("\N{MINUS SIGN}3", "-3"),
        ("x=-3", "-3"),
        ("5-3", "3"),
        ("between 10-20", "20"),
        ("3/4 of a cup", "3/4"),
        ("he ate 1 1/2 pies", "3/2"),
        (r"1\frac{1}{2}", "3/2"),
        (r"-\dfrac{3}{4}", "-3/4"),
        (r"\frac34", "3/4"),
        (r"1{,}234", "1234"),
        (r"1\,234", "1234"),
        (r"12\,\text{m}^2", "12"),
        ("12 m s^{-1}", "12"),
        ("the 3rd", "3"),
        (".5", "1/2"),
        ("1.5E-2", "3/200"),
        ("3 x 10^5", "300000"),
        (r"3\times10^{-1}", "3/10"),
        ("2^10", "1024"),
        ("**42**", "42"),
        ("1, 2, 3", "3"),
    ],
)
def test_the_last_number_is_read_exactly(text: str, value: str) -> None:
    number = last_number(text)
    assert number is not None
    assert number.value == Fraction(value)


@pytest.mark.parametrize(
    "text", ["", "none", "H2O", "x_{12}", "1/0", "0^-1", "1e999999999", "2^99999999999", "9" * 5000]
)
def test_what_is_no_number_or_an_absurd_one_is_not_read(text: str) -> None:
    assert last_number(text) is None


@pytest.mark.parametrize("text", ["42 apples", "1,23", "nan", "inf", "", "1 2", "5 - 3", "__import__('os')"])
def test_an_answer_is_one_whole_number(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [(" -1,234.5 ", "-1234.5"), ("$12", "12"), ("3/4", "3/4"), ("1e-07", "1e-7")]
)
def test_an_answer_may_be_written_in_many_ways(text: str, value: str) -> None:
    number = parse_number(text)
    assert number is not None
    assert number.value == Fraction(value)


@pytest.mark.parametrize(
    ("got", "expected", "tolerance", "equal"),
    [
        ("50%", "50", 0, True),
        ("50%", "0.5", 0, True),
        ("0.5", "50%", 0, True),
        ("0.5%", "50%", 0, False),
        ("0.1", "1/10", 0, True),
        ("9007199254740993", "9007199254740992", 0, False),
        ("3.14", "3.1416", 1e-3, True),
        ("3.14", "3.1416", 1e-4, False),
        ("0.0000001", "0", 1e-6, False),
        ("-4", "4", 1e-6, False),
    ],
)
def test_numbers_are_compared_within_a_share_of_the_answer(
    got: str, expected: str, tolerance: float, equal: bool
) -> None:
    left, right = parse_number(got), parse_number(expected)
    assert left is not None
    assert right is not None
    assert left.equals(right, tolerance) is equal


@pytest.mark.parametrize("part", ["1 ", "1/", "-", "\\frac{", "1,", "$", " ", "9", "1,111", "1\\,", "e", "^{-"])
@pytest.mark.parametrize("size", [200_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_megabyte_of_anything_is_read_in_a_moment(part: str, size: int) -> None:
    text = part * (size // len(part))
    started = time.process_time()
    last_number(text)
    assert time.process_time() - started < size / 100_000  # 30 times a laptop's; a quadratic search takes minutes
