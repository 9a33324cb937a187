from gapcast.contract.fits import FamilyScaling, Homogeneity, SizeSlope
from gapcast.words import model_size, shape
from service.law import Key
from service.web.points import ChartData, Curve, FitVersion, ObservationPoint
from service.web.recipes import FamilyRecipe
from service.web.summary import alarms, law_message, sizes_message

FROZEN, MOVING = Key.of("frozen", "forward_kl"), Key.of("ema", "reverse_kl")
A, B, C, BENT = (FamilyRecipe(*of) for of in (("a", FROZEN), ("b", FROZEN), ("c", FROZEN), ("a", MOVING)))
Counts = dict[FamilyRecipe, int]


def points(counts: Counts, excluded: bool = False) -> list[ObservationPoint]:
    return [
        ObservationPoint(
            id="obs_1",
            name="m",
            gap=0.1,
            gap_se=0.1,
            improvement=0.1,
            improvement_se=0.1,
            model="m",
            context="hints",
            family=of.family,
            key=of.key,
            recipe="",
            excluded=excluded,
        )
        for of, count in counts.items()
        for _ in range(count)
    ]


def version(counts: Counts, **changes) -> FitVersion:
    fields = {"id": "fit_1", "n": sum(counts.values()), "behind": 0, "drift": {}, "diagnosed": True}
    return FitVersion(laws=counts, **(fields | changes))


def curve(of: FamilyRecipe, counts: Counts, **changes) -> Curve:
    """The law of some runs, which rests on all of its teacher rule."""
    runs = {one.family: n for one, n in counts.items() if one.key.rule is of.key.rule}
    fields = {
        "baseline": 0.42,
        "typical": 0.42,
        "linear_weight": 1.0,
        "pool": of.key.whole,
        "runs": runs,
        "level": 0.95,
    }
    band = ("gaps", "mean", "confidence_lower", "confidence_upper", "prediction_lower", "prediction_upper")
    return Curve(law=of, **(fields | dict.fromkeys(band, ()) | changes))


def message(of: FamilyRecipe, counts: Counts, **changes) -> str:
    data = ChartData(observations=points(counts), curve=curve(of, counts, **changes), fit=version(counts))
    return law_message("lab", data)


def test_nothing_stored_is_the_prior_alone() -> None:
    excluded = ChartData(observations=points({A: 3}, excluded=True), curve=curve(A, {}), fit=version({}))
    for data in (ChartData(), ChartData(fit=version({})), excluded):
        said = law_message("default", data)
        assert "Pool default has no observations" in said
        assert "prior alone" in said


def test_a_new_family_leans_on_the_others() -> None:
    said = "None of the 9 observations in pool lab is of c: its law is what the other families suggest."
    assert message(C, {A: 5, B: 4}) == said


def test_fewer_than_three_claim_no_slope() -> None:
    sparse = "Only 2 of the 6 observations in pool lab are of a: too few to claim a slope."
    assert message(A, {A: 2, B: 4}) == sparse
    expected = "3 of the 7 observations in pool lab are of a; the others say what slopes to expect."
    assert message(A, {A: 3, B: 4}) == expected
    assert message(A, {A: 3}) == "All 3 observations in pool lab are of a."
    alone = "Only 2 of the 2 observations in pool lab are of a: too few to claim a slope."
    assert message(A, {A: 2}) == alone


def test_runs_of_another_teacher_rule_are_counted_apart() -> None:
    counts = {A: 7, B: 4, BENT: 12}
    assert message(A, counts) == (
        "7 of the 11 observations in pool lab with a frozen teacher are of a; the others say what slopes to expect. "
        "The pool's other 12 observations follow another law."
    )
    own = message(BENT, counts, pool=MOVING, runs={"a": 11})
    assert own.startswith("All 11 observations in pool lab with a co-moving teacher and reverse KL are of a.")
    assert message(BENT, {A: 1}) == (
        "Pool lab has no observations with a co-moving teacher: the law is the prior alone. The pool's other 1 "
        "observation follows another law."
    )
    unknown = message(FamilyRecipe("a", Key.of(None, None)), counts, pool=Key.of(None, None), runs={"a": 5})
    assert unknown.startswith("All 5 observations in pool lab with an unknown recipe are of a.")


def test_a_law_that_may_bend_says_for_whom_it_is_drawn() -> None:
    counts = {BENT: 8}
    assert message(BENT, counts, linear_weight=0.28) == (
        "All 8 observations in pool lab are of a. Straight 28 %, saturating 72 %, drawn for a student at 42.0 % with "
        "58.0 points to gain."
    )
    other = message(BENT, counts, linear_weight=0.0, baseline=0.6)
    assert other.endswith(
        "Saturating, drawn for a student at 60.0 % with 40.0 points to gain; its runs' students are at 42.0 % (median)."
    )
    assert "drawn for" not in message(BENT, counts, linear_weight=0.96)


def test_a_weight_is_certain_only_where_nothing_else_is_left() -> None:
    said = [shape(weight) for weight in (0, 0.004, 0.28, 0.996, 1)]
    assert said == [
        "saturating",
        "straight < 1 %, saturating > 99 %",
        "straight 28 %, saturating 72 %",
        "straight > 99 %, saturating < 1 %",
        "straight",
    ]


def test_without_a_fit_it_is_not_fitted_yet() -> None:
    said = law_message("lab", ChartData(observations=points({A: 3})))
    assert said == "3 observations in pool lab; the law is not fitted to them yet."


def test_excluded_observations_do_not_count_before_a_fit() -> None:
    stored = points({A: 2}) + points({A: 4}, excluded=True)
    assert law_message("lab", ChartData(observations=stored)).startswith("2 observations in pool lab;")


def test_what_is_not_drawn_or_not_fitted_is_said() -> None:
    fit = version({A: 8_000}, n=8_002, behind=3, diagnosed=False, drift=None)
    data = ChartData(observations=points({A: 2}), curve=curve(A, {A: 8_000}), fit=fit)
    assert law_message("lab", data) == (
        "All 8,000 observations in pool lab are of a. 2 more are stored as collapsed. The newest 2 are drawn. Outliers "
        "of a pool of this size are not marked here; the fit's residuals name them. Drift was not tested. The pool has "
        "had 3 changes since; a new fit is being made."
    )


class TestAlarms:
    def test_no_drift_is_no_alarm(self) -> None:
        assert alarms(None) == alarms(version({A: 3})) == alarms(version({A: 3}, drift=None)) == []

    def test_it_names_family_versions_and_what_to_do(self) -> None:
        [alarm] = alarms(version({A: 30}, drift={"a": {"2": 12, "": 18}}))
        assert alarm.startswith("Drift: the versions of a follow different laws: unnamed (18) and 2 (12). Exclude")

    def test_many_versions_are_counted(self) -> None:
        [alarm] = alarms(version({A: 30}, drift={"a": {f"v{index}": 1 for index in range(9)}}))
        assert "v0 (1), v1 (1), v2 (1), v3 (1), v4 (1) and 4 more." in alarm


class TestSizes:
    def sizes(self, p_value: float | None, *slopes: tuple[float, float], linear_weight: float = 1.0) -> FamilyScaling:
        return FamilyScaling(
            family="a",
            teacher_rule="frozen",
            divergence="forward_kl",
            linear_weight=linear_weight,
            sizes=[
                SizeSlope(parameters=size, n=9, slope=slope, se=0.05, lower=slope - 0.1, upper=slope + 0.1)
                for size, slope in slopes
            ],
            trend=None,
            homogeneity=None if p_value is None else Homogeneity(q=1, freedom=1, p_value=p_value),
        )

    def test_one_size_says_nothing(self) -> None:
        assert sizes_message(self.sizes(None, (1e9, 1.0))) is None

    def test_sizes_that_differ(self) -> None:
        assert sizes_message(self.sizes(0.049, (101_376, 0.92), (3.58e5, 1.05))) == (
            "Slope by model size (± SE): 0.92 ± 0.05 at 101K and 1.05 ± 0.05 at 358K parameters; they differ, "
            "p = 0.049."
        )
        assert sizes_message(self.sizes(1e-9, (1e9, 0.2), (2e9, 1))).endswith("they differ, p < 0.001.")

    def test_sizes_that_may_share_one_slope(self) -> None:
        said = sizes_message(self.sizes(0.31, (1.7e9, 1.0), (8e9, 1.1)))
        assert said.endswith(
            "1.00 ± 0.05 at 1.7B and 1.10 ± 0.05 at 8B parameters; no sign that they differ, p = 0.31."
        )

    def test_slopes_of_lines_under_a_law_that_may_bend_are_told_as_that(self) -> None:
        said = sizes_message(self.sizes(0.01, (1.7e9, 2.0), (8e9, 1.1), linear_weight=0.12))
        assert said is not None
        assert said.endswith(
            "they differ, p = 0.010. The law may bend (straight 12 %, saturating 88 %): then a size that was trained "
            "at larger gaps shows a smaller slope."
        )
        decided = sizes_message(self.sizes(0.01, (1.7e9, 2.0), (8e9, 1.1), linear_weight=0.96))
        assert decided is not None
        assert decided.endswith("they differ, p = 0.010.")

    def test_many_sizes_are_told_by_their_ends(self) -> None:
        said = sizes_message(self.sizes(0.5, *((10.0**power, power / 10) for power in range(3, 12))))
        assert ": from 0.30 ± 0.05 at 1K to 1.10 ± 0.05 at 100B parameters;" in said

    def test_sizes_are_written_as_people_say_them(self) -> None:
        told = [model_size(size) for size in (12, 999, 1e3, 358_144, 6e8, 1.7e9, 70.6e9, 1e12)]
        assert told == ["12", "999", "1K", "358K", "600M", "1.7B", "70.6B", "1T"]
