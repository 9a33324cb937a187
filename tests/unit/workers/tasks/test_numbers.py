import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapcast.contract.numbers import last_number, parse_number, stated_number


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
        ("1,2,3", "3"),
        ("at (1,2)", "2"),
        ("答案是42。", "42"),
        ("共42人", "42"),
        ("The total is 9 500.", "9500"),
        ("in 2023 500 came", "500"),
        ("–3", "-3"),
        ("10–20", "20"),
        (r"$\frac{1}{-2}$", "-1/2"),
        ("1.5×10³", "1500"),
        ("12 m²", "12"),
    ],
)
def test_the_last_number_is_read_exactly(text: str, value: str) -> None:
    number = last_number(text)
    assert number is not None
    assert number.value == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "H2O",
        "x_{12}",
        "1/0",
        "0^-1",
        "1e999999999",
        "2^99999999999",
        "9" * 5000,
        r"3 or $2\sqrt{3}$",
        r"\frac{\pi}{2}",
    ],
)
def test_what_is_no_number_or_an_absurd_one_is_not_read(text: str) -> None:
    assert last_number(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("nan", "inf", "", "1 2", "__import__('os')", "1, 2", "2 or 3", "2x", "3 y", r"2\sqrt{3}", r"\frac{\pi}{2}"),
        *(
            "x < 3",
            r"\pm 5",
            "1:3",
            "x = 1, y = 2",
            "(1, 2)",
            "(1,2)",
            r"\{1, 2\}",
            "1/0",
            "7(x+1)",
            "2x + z = 1",
            "a - b = 0",
            "2^x",
            "5 to 6",
        ),
        *("less than 5", "not 5", "3 h 20 min", "12:30", r"5\pi", "1.2.3", "forty-two", "2 and 3", "3 (4)"),
    ],
)
def test_an_answer_is_one_whole_number(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (" -1,234.5 ", "-1234.5"),
        ("$12", "12"),
        ("3/4", "3/4"),
        ("1e-07", "1e-7"),
        ("42 apples", "42"),
        ("5.", "5"),
        ("\\$40", "40"),
        ("$-5", "-5"),
        ("- 3", "-3"),
        ("12€", "12"),
        ("90^\\circ", "90"),
        ("12\\,\\text{m}^2", "12"),
        ("5 km/h", "5"),
        ("3m", "3"),
        (r"\boxed{5}", "5"),
        (r"$\frac{2}{3}$", "2/3"),
        (r"\frac{3+1}{2}", "2"),
        (r"-\frac{\frac{1}{2}}{2}", "-1/4"),
        (r"\left(\frac{2}{3}\right)^2", "4/9"),
        (r"\frac{2}{3}^2", "4/9"),
        (r"1\tfrac{1}{2}", "3/2"),
        (r"\sqrt{16}", "4"),
        (r"2^{10}", "1024"),
        (r"3 \times 10^{-4}", "3/10000"),
        ("x = 3+4 = 7", "7"),
        (r"x = \frac{1}{3} \approx 0.333", "1/3"),
        (r"x \approx 11", "11"),
        ("f(2) = 5", "5"),
        (r"\text{Day } 5", "5"),
        (r"42 \text{ (for } n=3)", "42"),
        ("½", "1/2"),
        ("2½", "5/2"),
        ("４２", "42"),
        ("1,50,000", "150000"),
        ("3,\\!250", "3250"),
        ("9\\ 500", "9500"),
        ("9\N{NARROW NO-BREAK SPACE}500", "9500"),
        ("9'500", "9500"),
        ("1,23", "1.23"),
        ("0,111", "0.111"),
        ("1.234,5", "1234.5"),
        ("1.234.567", "1234567"),
        ("1 234,5", "1234.5"),
        ("1,234", "1234"),
        ("5 - 3", "2"),
        ("(-2)^3", "-8"),
        ("-2^2", "-4"),
    ],
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
        ("2000000", "1999999", 1e-6, False),
        ("2000000", "1999999", 1e-3, True),
        ("30.00001", "30", 1e-6, True),
        ("50 percent", "0.5", 0, True),
        ("1.5 million", "1500000", 0, True),
        ("1.5 million", "1.5", 0, True),
        ("1.5 million", "1.5 thousand", 0, False),
    ],
)
def test_numbers_are_compared_within_a_share_of_the_answer(
    got: str, expected: str, tolerance: float, equal: bool
) -> None:
    left, right = parse_number(got), parse_number(expected)
    assert left is not None
    assert right is not None
    assert left.equals(right, tolerance) is equal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42 (see step 3)", "42"),
        (" **42** apples", "42"),
        ("$5 + $3 = $8", "8"),
        ("x = 5", "5"),
        ("about 3.5 million", "3500000"),
        ("between 3 and 5, so 4", "4"),
        (r"$\frac{3}{4}$ of it", "3/4"),
    ],
)
def test_a_statement_gives_the_number_that_it_begins_with(text: str, value: str) -> None:
    number = stated_number(text)
    assert number is not None
    assert number.value * 10**number.scale == Fraction(value)


@pytest.mark.parametrize("text", ["12 or 13", "2, 3", r"$2\sqrt{3}$", "2x", "3 to 5", "3^x"])
def test_a_statement_of_anything_else_is_not_a_number(text: str) -> None:
    assert stated_number(text) is None


WHOLE = st.integers(-(10**15), 10**15)


@given(WHOLE)
def test_every_way_to_separate_thousands_is_the_same_number(number: int) -> None:
    text = f"{number:,}"
    for separator in (",", "{,}", r"\,", r",\!", "\N{THIN SPACE}", "\N{NO-BREAK SPACE}", r"\ ", "'"):
        written = parse_number(text.replace(",", separator))
        assert written is not None
        assert written.value == number, separator


@given(above=st.integers(-999, 999), below=st.integers(-999, 999).filter(bool))
def test_every_way_to_write_a_fraction_is_the_same_number(above: int, below: int) -> None:
    for form in (rf"\frac{{{above}}}{{{below}}}", rf"\dfrac{{{above}}}{{{below}}}", f"({above})/({below})"):
        written = parse_number(form)
        assert written is not None
        assert written.value == Fraction(above, below), form


@given(WHOLE, st.integers(1, 10**6))
def test_whole_numbers_are_equal_only_to_themselves(number: int, more: int) -> None:
    one, other = parse_number(str(number)), parse_number(str(number + more))
    assert one is not None
    assert other is not None
    assert one.equals(one, 1e-6)
    assert not one.equals(other, 1e-6)


@pytest.mark.parametrize("part", ["1 ", "1/", "-", "\\frac{", "1,", "$", " ", "9", "1,111", "1\\,", "e", "^{-"])
@pytest.mark.parametrize("size", [200_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_a_megabyte_of_anything_is_read_in_a_moment(part: str, size: int) -> None:
    text = part * (size // len(part))
    started = time.process_time()
    last_number(text)
    parse_number(text[:1000])
    stated_number(text[:500])
    assert time.process_time() - started < size / 100_000  # 30 times a laptop's; a quadratic search takes minutes
