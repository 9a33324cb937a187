"""A comparison for people, in words, in a terminal, and in a notebook."""

import io
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from rich.console import Console

from gapcast import Comparison
from gapcast import comparison_words as words
from gapcast.cli.printing.comparisons import bar, print_comparison, print_comparisons, round_table
from gapcast.contract.base import Failure, Warned
from gapcast.contract.comparisons import Stop
from gapcast.contract.predictions import Missing, Support
from tests.support.comparisons import answer, comparison, request, round_, standing, winner


def printed(found: Comparison, width: int = 200, **options: Any) -> str:
    out = io.StringIO()
    print_comparison(Console(file=out, width=width, **options), found)
    return out.getvalue()


class TestWords:
    @pytest.mark.parametrize(
        ("verdict", "said"),
        [
            ("train", "Train hints: +31.0 points (80 % interval +26.0 to +36.0), predicted. P(best) 97.0 %."),
            ("pilot", "Run a pilot of hints first: +31.0 points"),
            ("skip", "Train none of them; the best is hints: +31.0 points"),
            ("probe_more", "The best is hints: +31.0 points"),
        ],
    )
    def test_the_advice_is_the_verdict_on_the_second_probe(self, verdict: str, said: str) -> None:
        found = comparison(winner=winner(answer=answer(0.31, verdict)))
        assert words.advised(found).startswith(said)

    def test_several_that_are_to_be_trained_are_advised_together(self) -> None:
        after = round_(picked=[1, 0], p_best_picked=0.98)
        said = words.advised(comparison(request=request(pick=2), rounds=[after]))
        assert said == (
            "Train hints and feedback: +31.0 points (80 % interval +26.0 to +36.0), predicted for hints. "
            "P(the best is among the picked ones) 98.0 %."
        )

    def test_a_refused_prediction_has_no_number(self) -> None:
        refused = winner(answer=answer(None, "refused"))
        assert words.advised(comparison(winner=refused)).startswith("The best is hints: no improvement is predicted.")
        assert words.probed_again(comparison(winner=refused)) == ""

    @pytest.mark.parametrize(
        ("stop", "said"),
        [
            ("decided", "P(best) has reached the 90 % that was asked for."),
            ("indifferent", "with 90 % probability no other prediction would come out more than 2.0 points higher."),
            ("law", "it is the law that is too uncertain here"),
            ("budget", "The budget is spent;"),
            ("most_problems", "The task has no more problems."),
        ],
    )
    def test_the_end_has_a_reason_and_a_price(self, stop: str, said: str) -> None:
        found = comparison(request=request(confidence=0.9, indifference=0.02), stopped_by=stop)
        assert said in words.ended(found)
        assert words.ended(found).endswith("Choosing took 640 rollouts; an equal split would have taken 2,560.")

    def test_every_stop_of_the_contract_has_words(self) -> None:
        assert words.STOPPED.keys() == set(get_args(Stop))

    def test_both_probes_of_the_winner_stand_beside_each_other(self) -> None:
        said = words.probed_again(comparison())
        assert said.startswith("hints was at +36.6 points (80 % interval +31.6 to +41.6) when it was chosen.")
        assert said.endswith("with fresh samples: +31.0 points (80 % interval +26.0 to +36.0).")

    def test_each_stands_in_one_way(self) -> None:
        gone = standing(2, eliminated=True)
        after = round_(alike=[0], standings=[standing(0), standing(1), gone])
        assert [words.stands(one, after) for one in after.standings] == ["not told apart", "best", "eliminated"]
        assert words.stands(standing(0), round_(picked=[1, 0], alike=[0])) == "picked"
        assert words.stands(standing(0, refused=True), after) == "outside the law"


class TestPrint:
    def test_the_best_is_first_with_every_figure(self) -> None:
        text = printed(comparison())
        lines = text.splitlines()
        assert lines[0].startswith("Train hints: +31.0 points")
        first, second = lines[3].split(), lines[4].split()
        assert lines[2].split()[:2] == ["Configuration", "Gap"]
        assert first[:3] == ["1", "hints", "+41.6"]
        assert {"+36.6", "97.0", "32", "best", "Train", "pred_second", "30"} <= set(first)
        assert second[:3] == ["2", "feedback", "+24.5"]
        assert "pred_0" in second
        assert "cmp_1: 640 rollouts in 1 round, and 2,048 of the second probe; 8.3 s of work" in text

    def test_what_speaks_against_the_winner_is_said(self) -> None:
        lacking = Support(known="cell", cell_runs=3, missing=[Missing(code="few_runs", message="Too few runs.")])
        warned = [Warned(code="new_context", message="m", numbers={"context_sd": 0.066})]
        found = comparison(
            rounds=[round_(alike=[0, 2])],
            winner=winner(answer=answer(0.31, "pilot", support=lacking, warnings=warned)),
            warnings=[Warned(code="winner_not_confirmed", message="Feedback is ahead.")],
        )
        text = printed(found)
        assert "Cannot be told apart from hints: feedback and hints (level 3).\n" in text
        assert "Missing (few_runs): Too few runs.\n" in text
        assert "Warning (winner_not_confirmed): Feedback is ahead.\n" in text
        assert "contexts with one gap differ by 6.6 points" in text

    def test_a_narrow_terminal_goes_without_the_less_important_columns(self) -> None:
        wide, narrow = printed(comparison()), printed(comparison(), 90, force_terminal=True, color_system=None)
        assert "Points an hour" in wide
        assert "Points an hour" not in narrow
        for name in ("Predicted", "P(best)", "Verdict"):
            assert name in narrow
        table = narrow.splitlines()[2:6]
        assert max(len(line) for line in table) <= 90

    def test_one_without_a_winner_says_how_far_it_is(self) -> None:
        running = printed(comparison(status="running"))
        assert running.startswith("running\n")
        assert "+36.6" in running
        waiting = printed(comparison(status="queued", rounds=[]))
        assert waiting.startswith("waiting for a worker\n")
        assert "feedback" in waiting
        failed = comparison(status="failed", rounds=[], error=Failure(code="x", message="No [model].", category="user"))
        assert printed(failed).startswith("failed: No [model].\n")

    def test_a_list_has_the_second_probe_of_those_that_ended(self) -> None:
        out = io.StringIO()
        others = comparison(id="cmp_2", status="running", name="sweep", tags=["a"])
        print_comparisons(Console(file=out, width=200), [comparison(), others])
        head, first, second = out.getvalue().splitlines()
        assert head.startswith("Comparison")
        assert first.split() == [
            *("cmp_1", "2026-11-29", "16:00", "lab/addition", "hints", "3", "+31.0", "97.0", "%", "640", "succeeded")
        ]
        assert second.split()[6:] == ["+36.6", "97.0", "%", "640", "running", "sweep", "#a"]


class TestRoundTable:
    def test_bars_are_on_one_scale(self) -> None:
        low, high = 0.106, 0.416
        bars = [bar(standing(place), low, high, draws=False) for place in range(3)]
        assert [len(one) for one in bars] == [20, 20, 20]
        assert bars[2].startswith("---o---")
        assert bars[1].endswith("---o---")
        assert bars[1].index("o") > bars[0].index("o") > bars[2].index("o")
        assert "●" in bar(standing(1), low, high, draws=True)
        assert bar(standing(1, interval=None), low, high, draws=True) == ""
        assert bar(standing(1), low, low, draws=True) == ""

    def test_the_rows_fit_and_the_rest_is_counted(self) -> None:
        out = io.StringIO()
        names = ["feedback", "hints", "[three]"]
        console = Console(file=out, width=120)
        console.print(
            round_table(
                names, round_(standings=[standing(0, eliminated=True), standing(1), standing(2)]), 2, draws=False
            )
        )
        text = out.getvalue()
        assert [line.split()[:2] for line in text.splitlines()[1:3]] == [["1", "hints"], ["2", "[three]"]]
        assert text.splitlines()[3].split() == ["and", "1", "more"]
        assert "feedback" not in text


class TestNotebook:
    def test_a_frame_has_a_row_a_configuration_in_shares(self) -> None:
        frame = comparison().to_dataframe()
        first = frame.iloc[0]
        assert list(frame["name"]) == ["hints", "feedback", "hints (level 3)"]
        assert (first["predicted"], first["lower"], first["upper"]) == pytest.approx((0.366, 0.316, 0.416))
        assert (first["p_best"], first["problems"], first["training_hours"]) == (0.97, 32, 0.5)
        assert (first["prediction_id"], first["verdict"], first["context"]) == ("pred_second", "train", "hints")
        assert frame.iloc[2]["context"] == "hints, 3 shown"
        empty = comparison(status="queued", rounds=[]).to_dataframe()
        assert empty["predicted"].isna().all()

    def test_a_chart_has_the_intervals_in_points_in_the_order_of_the_comparison(self) -> None:
        after = round_(standings=[standing(0, eliminated=True), standing(1), standing(2)])
        spec = comparison(rounds=[after]).chart().to_dict()
        rows = spec["data"]["values"] if "data" in spec else next(iter(spec["datasets"].values()))
        assert [(row["configuration"], row["is"]) for row in rows] == [
            ("hints", "best"),
            ("feedback", "eliminated"),
            ("hints (level 3)", "in question"),
        ]
        assert (rows[0]["lower"], rows[0]["predicted"], rows[0]["upper"]) == pytest.approx((31.6, 36.6, 41.6))
        assert spec["layer"][0]["encoding"]["y"]["sort"] == ["hints", "feedback", "hints (level 3)"]

    def test_a_table_says_what_to_train(self) -> None:
        table = ElementTree.fromstring(comparison(id="cmp_<1>")._repr_html_())
        rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
        assert (table.findtext("caption") or "").startswith("cmp_<1> Train hints: ")
        assert rows[1] == ["hints", "+36.6", "+31.6 to +41.6", "97.0 %", "32", "best"]
        waiting = ElementTree.fromstring(comparison(status="queued", rounds=[])._repr_html_())
        assert [cell.text for cell in waiting.iter("td")][5] == "queued"


class TestComparison:
    def test_the_winner_is_answered_by_its_second_probe(self) -> None:
        found = comparison(rounds=[round_(picked=[1, 0])])
        hints, feedback = found.to_train
        assert found.best == hints == found.at(1)
        assert found.prediction_of(hints) == "pred_second"
        assert found.prediction_of(feedback) == "pred_0"
        best, other = found.answer_of(hints), found.answer_of(feedback)
        assert best is not None
        assert other is not None
        assert (best.improvement.value, other.improvement.value) == (0.31, 0.195)

    def test_before_the_first_round_nothing_is_known(self) -> None:
        found = comparison(status="queued", rounds=[])
        assert (found.best, found.to_train, found.prediction_of(found.at(0))) == (None, [], None)
