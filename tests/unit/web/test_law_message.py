from service.fits.schemas import FamilyScaling, Homogeneity, SizeSlope
from service.web.points import ChartData, FitVersion, ObservationPoint
from service.web.summary import alarms, compact, families, law_message, sizes_message


def points(**counts: int) -> list[ObservationPoint]:
    return [
        ObservationPoint(
            gap=0.1,
            gap_se=0.1,
            improvement=0.1,
            improvement_se=0.1,
            model="m",
            context="hints",
            family=family.removesuffix("_out"),
            excluded=family.endswith("_out"),
        )
        for family, count in counts.items()
        for _ in range(count)
    ]


def version(counts: dict[str, int], **changes) -> FitVersion:
    fields = {"id": "fit_1", "n": sum(counts.values()), "behind": 0, "drift": {}, "diagnosed": True}
    return FitVersion(families=counts, **(fields | changes))


def message(pool: str, family: str | None, **counts: int) -> str:
    stored = points(**counts)
    fitted = {name: n for name, n in counts.items() if not name.endswith("_out")}
    return law_message(pool, ChartData(observations=stored, fit=version(fitted)), family)


def test_nothing_stored_is_the_prior_alone() -> None:
    for said in (message("default", "a"), message("default", "a", a_out=3), law_message("default", ChartData(), "a")):
        assert "Pool default has no observations" in said
        assert "prior alone" in said


def test_a_new_family_leans_on_the_others() -> None:
    said = "None of the 9 observations in pool lab is of c: its law is what the other families suggest."
    assert message("lab", "c", a=5, b=4) == said


def test_fewer_than_three_claim_no_slope() -> None:
    sparse = "Only 2 of the 6 observations in pool lab are of a: too few to claim a slope."
    assert message("lab", "a", a=2, b=4) == sparse
    assert message("lab", "a", a=3, b=4).startswith("3 of the 7 observations in pool lab are of a;")
    assert message("lab", "a", a=3) == "All 3 observations in pool lab are of a."


def test_without_a_fit_it_is_not_fitted_yet() -> None:
    said = law_message("lab", ChartData(observations=points(a=3)), "a")
    assert said == "3 observations in pool lab; the law is not fitted to them yet."


def test_excluded_observations_do_not_count() -> None:
    assert message("lab", "a", a=2, a_out=4, b=1).startswith("Only 2 of the 3 observations")


def test_what_is_not_drawn_or_not_fitted_is_said() -> None:
    fit = version({"a": 8_000}, n=8_002, behind=3, diagnosed=False, drift=None)
    assert law_message("lab", ChartData(observations=points(a=2), fit=fit), "a") == (
        "All 8,000 observations in pool lab are of a. 2 more are stored as collapsed. The newest 2 are drawn. Outliers "
        "of a pool of this size are not marked here; the fit's residuals name them. Drift was not tested. The pool has "
        "had 3 changes since; a new fit is being made."
    )


def test_families_come_with_the_largest_first() -> None:
    assert families(points(a=1, b=3, c_out=5), None) == [
        {"name": "b", "n": 3},
        {"name": "a", "n": 1},
        {"name": "c", "n": 0},
    ]


def test_families_of_a_fit_count_what_is_not_drawn() -> None:
    assert families(points(a=1, c_out=1), version({"a": 7, "b": 9})) == [
        {"name": "b", "n": 9},
        {"name": "a", "n": 7},
        {"name": "c", "n": 0},
    ]


class TestAlarms:
    def test_no_drift_is_no_alarm(self) -> None:
        assert alarms(None) == alarms(version({"a": 3})) == alarms(version({"a": 3}, drift=None)) == []

    def test_it_names_family_versions_and_what_to_do(self) -> None:
        [alarm] = alarms(version({"a": 30}, drift={"a": {"2": 12, "": 18}}))
        assert alarm.startswith("Drift: the versions of a follow different lines: unnamed (18) and 2 (12). Exclude")

    def test_many_versions_are_counted(self) -> None:
        [alarm] = alarms(version({"a": 30}, drift={"a": {f"v{index}": 1 for index in range(9)}}))
        assert "v0 (1), v1 (1), v2 (1), v3 (1), v4 (1) and 4 more." in alarm


class TestSizes:
    def sizes(self, p_value: float | None, *slopes: tuple[float, float]) -> FamilyScaling:
        return FamilyScaling(
            family="a",
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

    def test_many_sizes_are_told_by_their_ends(self) -> None:
        said = sizes_message(self.sizes(0.5, *((10.0**power, power / 10) for power in range(3, 12))))
        assert ": from 0.30 ± 0.05 at 1K to 1.10 ± 0.05 at 100B parameters;" in said

    def test_sizes_are_written_as_people_say_them(self) -> None:
        told = [compact(size) for size in (12, 999, 1e3, 358_144, 6e8, 1.7e9, 70.6e9, 1e12)]
        assert told == ["12", "999", "1K", "358K", "600M", "1.7B", "70.6B", "1T"]
