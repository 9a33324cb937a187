import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gapcast.contract.contexts import Context
from gapcast.contract.numbers import Number, parse_number
from tests.unit.workers.contexts.sums import build, context_of, material
from workers.contexts import Material

GROUPS = [material(i, "wrong", "right" if i % 2 else "wrong", "wrong") for i in range(400)]
"""Half of the groups have a success, which is not the rollout itself."""

INFORMATIVE = ["feedback", "hints", "peer_solution", "reference_solution", "all", "column"]


def problem_of(text: str | None) -> int:
    """The number that a context speaks of."""
    assert text is not None
    numbers = {int(found) for found in re.findall(r"(?:p|Twice |\()(\d+)", text)}
    numbers |= {int(found) // 2 for found in re.findall(r"(?:It is|shows) (\d+)", text)}
    (number,) = numbers
    return number


def four_sigma(share: float, n: int) -> float:
    return 4 * (share * (1 - share) / n) ** 0.5


class TestCoverage:
    @pytest.mark.parametrize("share", [0.25, 0.8])
    def test_it_is_a_share_of_problems_whatever_the_rollout(self, share: float) -> None:
        context = context_of("reference_solution", corruption={"coverage": share})
        reasons = [[build(context, own, draw=draw).reason for own in GROUPS] for draw in "ab"]
        assert reasons[0] == reasons[1]
        assert set(reasons[0]) == {None, "not_covered"}
        assert reasons[0].count(None) / 400 == pytest.approx(share, abs=four_sigma(share, 400))

    def test_another_seed_covers_other_problems(self) -> None:
        context = context_of("reference_solution", corruption={"coverage": 0.5})
        first, second = ([build(context, own, seed=seed).reason for own in GROUPS] for seed in (1, 2))
        assert first != second

    def test_the_placebo_covers_what_its_context_covers(self) -> None:
        context = context_of("reference_solution", corruption={"coverage": 0.5})
        right, placebo = ([build(one, own, GROUPS).reason for own in GROUPS] for one in (context, context.placebo()))
        assert right == placebo


class TestCorruption:
    @pytest.mark.parametrize("kind", ["reference_solution", "hints", "column"])
    def test_the_rate_is_a_share_of_contexts_drawn_anew_for_every_rollout(self, kind: str) -> None:
        context = context_of(kind, corruption={"rate": 0.3})
        wrong = []
        for draw in "ab":
            built = [build(context, own, GROUPS, draw=draw) for own in GROUPS]
            wrong.append([problem_of(one.text) != i for i, one in enumerate(built)])
            assert wrong[-1] == [one.corrupted for one in built]
        assert wrong[0] != wrong[1]
        assert (sum(wrong[0]) + sum(wrong[1])) / 800 == pytest.approx(0.3, abs=four_sigma(0.3, 800))

    @pytest.mark.parametrize("kind", INFORMATIVE)
    def test_a_wrong_context_stands_exactly_where_the_right_one_would(self, kind: str) -> None:
        right = [build(context_of(kind), own, GROUPS).reason for own in GROUPS]
        wrong = [build(context_of(kind, corruption={"rate": 1.0}), own, GROUPS).reason for own in GROUPS]
        assert right == wrong

    def test_a_wrong_static_text_is_the_same_words_in_disorder(self) -> None:
        text = "one two three four five six seven eight"
        corrupted = context_of("static", text=text, corruption={"rate": 1.0})
        for context in (corrupted, context_of("static", text=text).placebo()):
            built = build(context, GROUPS[0])
            assert built.text is not None
            assert built.corrupted
            assert built.text != text
            assert sorted(built.text.split()) == sorted(text.split())


class TestPlacebo:
    @pytest.mark.parametrize("kind", INFORMATIVE)
    def test_it_is_another_problems_context_of_the_kind(self, kind: str) -> None:
        context = context_of(kind)
        donors = GROUPS[:50]
        right = {build(context, donor).text for donor in donors}
        for i, own in enumerate(donors):
            built = build(context.placebo(), own, donors)
            if build(context, own).text is None:
                continue
            assert built.corrupted
            assert problem_of(built.text) != i
            assert built.text in right

    def test_a_peers_solution_comes_from_a_group_that_has_one(self) -> None:
        drawn = {
            problem_of(build(context_of("peer_solution").placebo(), GROUPS[1], GROUPS, draw=str(k)).text)
            for k in range(50)
        }
        assert all(i % 2 for i in drawn)

    def test_the_donors_own_rollout_is_not_its_own_peer(self) -> None:
        alone = material(5, "right", "wrong")
        built = build(context_of("peer_solution").placebo(), material(3, "wrong", "right"), [alone])
        assert built.reason == "no_donor"

    def test_its_options_are_those_of_its_context(self) -> None:
        text = build(context_of("hints", level=1).placebo(), GROUPS[3], GROUPS).text
        assert text is not None
        assert text.count("It ") == 1


class TestShuffledFeedback:
    CONTEXT = context_of("feedback", show_expected=True).shuffled_feedback()

    def test_it_is_the_feedback_on_another_problems_attempt(self) -> None:
        for i, own in enumerate(GROUPS[:50]):
            built = build(self.CONTEXT, own, GROUPS)
            assert built.corrupted
            assert problem_of(built.text) != i
            assert str(built.text).startswith("Feedback: p")
            assert "Expected:" in str(built.text)

    def test_success_without_feedback_holds_for_both_sides(self) -> None:
        context = context_of("feedback", on_success="none").shuffled_feedback()
        won, lost = material(1, "right"), material(2, "wrong")
        assert build(context, won, [lost]).reason == "no_feedback_on_success"
        assert build(context, lost, [won]).reason == "no_donor"
        assert problem_of(build(context, lost, [won, material(4, "wrong")]).text) == 4


class TestDonors:
    CONTEXT = context_of("reference_solution").placebo()

    def test_none(self) -> None:
        assert build(self.CONTEXT, GROUPS[3]).reason == "no_donor"

    def test_never_the_problem_itself_nor_one_with_its_answer(self) -> None:
        same = material(7, id="other", answer="6")
        assert build(self.CONTEXT, material(3), [material(3), same]).reason == "no_donor"

    @pytest.mark.parametrize(
        ("answer", "same"),
        [
            *[("0.5", "1/2"), ("0.5", "0.50"), (".5", "0.5"), ("0.5", " 0.5\n"), ("50%", "0.5"), ("$1,000", "1e3")],
            *[("A", " A "), ("\\frac{1}{2}", "0.5"), ("0.333333333", "1/3"), ("x" * 2000, "x" * 2000 + " ")],
        ],
    )
    def test_never_one_with_its_answer_written_otherwise(self, answer: str, same: str) -> None:
        for one, other in ((answer, same), (same, answer)):
            assert build(self.CONTEXT, material(3, answer=one), [material(7, answer=other)]).reason == "no_donor"

    @pytest.mark.parametrize(("answer", "another"), [("0.5", "0.51"), ("a", "A"), ("1", "one"), ("1" * 900, "1" * 901)])
    def test_another_answer_is_enough(self, answer: str, another: str) -> None:
        assert problem_of(build(self.CONTEXT, material(3, answer=answer), [material(7, answer=another)]).text) == 7

    def test_each_answer_is_read_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[str] = []

        def parse(text: str) -> Number | None:
            read.append(text)
            return parse_number(text)

        monkeypatch.setattr("workers.contexts.build.parse_number", parse)
        donors = [material(7, answer=f"77{'0' * (k % 9)}7777.50") for k in range(300)]
        for draw in "abc":
            build(self.CONTEXT, material(3, answer="777777.5", id="own"), donors, draw=draw)
            build(self.CONTEXT, material(3, answer="777777.5", id="own"), donors[:1] * 300, draw=draw)
        assert len(read) == len(set(read)) <= 10

    def test_another_id_is_enough_where_an_answer_is_missing(self) -> None:
        own = material(3, answer=None)
        assert build(self.CONTEXT, own, [own, own]).reason == "no_donor"
        assert problem_of(build(self.CONTEXT, own, [own, material(7, answer=None)]).text) == 7

    def test_the_only_one_that_can_give_one_is_found(self) -> None:
        donors = [material(i, reference_solution=None) for i in range(10, 210)]
        donors[137] = material(5)
        for draw in "abcdefgh":
            assert problem_of(build(self.CONTEXT, material(3), donors, draw=draw).text) == 5

    def test_each_is_drawn_about_as_often(self) -> None:
        donors = [material(i) for i in range(10, 20)]
        drawn = Counter(problem_of(build(self.CONTEXT, material(3), donors, draw=str(k)).text) for k in range(2000))
        assert set(drawn) == set(range(10, 20))
        assert all(abs(count - 200) < 4 * 2000**0.5 * 0.3 for count in drawn.values())  # sd: sqrt(2000 x .1 x .9)

    def test_the_neighbour_of_many_that_cannot_is_not_preferred(self) -> None:
        donors = [material(i, reference_solution=None if i < 90 else f"Twice {i}") for i in range(10, 110)]
        drawn = Counter(problem_of(build(self.CONTEXT, material(3), donors, draw=str(k)).text) for k in range(1000))
        assert max(drawn.values()) < 200  # 50 each if all were alike; going on one by one would give the first 800

    def test_a_search_among_very_many_ends(self) -> None:
        class Counted(list[Material]):
            reads = 0

            def __getitem__(self, index: int) -> Material:  # type: ignore[override]
                self.reads += 1
                return super().__getitem__(index)

        donors = Counted([material(7, reference_solution=None)] * 100_000)
        assert build(self.CONTEXT, material(3), donors).reason == "no_donor"
        assert donors.reads <= 1000


CONTEXTS = [
    context_of("all", corruption={"rate": 0.5, "coverage": 0.7}),
    context_of("feedback", corruption={"rate": 0.5}),
    context_of("feedback").shuffled_feedback(),
    context_of("peer_solution").placebo(),
    context_of("static", corruption={"rate": 0.5}),
]


@given(
    context=st.sampled_from(CONTEXTS),
    i=st.integers(0, 399),
    seed=st.integers(0, 2**31),
    draw=st.text(max_size=5),
)
def test_the_same_arguments_give_the_same_context(context: Context, i: int, seed: int, draw: str) -> None:
    first = build(context, GROUPS[i], GROUPS, seed, draw)
    assert first == build(context, GROUPS[i], list(GROUPS), seed, draw)
    assert (first.text is None) == (first.reason is not None)
