from service.web.plots import ObservationPoint
from service.web.summary import families, law_message


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


def test_nothing_stored_is_the_prior_alone() -> None:
    for stored in ([], points(a_out=3)):
        message = law_message("default", stored, "a")
        assert "Pool default has no observations" in message
        assert "prior alone" in message


def test_a_new_family_leans_on_the_others() -> None:
    message = law_message("lab", points(a=5, b=4), "c")
    assert message == "None of the 9 observations in pool lab is of c: its law is what the other families suggest."


def test_fewer_than_three_claim_no_slope() -> None:
    sparse = "Only 2 of the 6 observations in pool lab are of a: too few to claim a slope."
    assert law_message("lab", points(a=2, b=4), "a") == sparse
    assert law_message("lab", points(a=3, b=4), "a").startswith("3 of the 7 observations in pool lab are of a;")
    assert law_message("lab", points(a=3), "a") == "All 3 observations in pool lab are of a."


def test_without_a_family_there_is_no_fit_yet() -> None:
    assert law_message("lab", points(a=3), None) == "3 observations in pool lab; the law is not fitted to them yet."


def test_excluded_observations_do_not_count() -> None:
    assert law_message("lab", points(a=2, a_out=4, b=1), "a").startswith("Only 2 of the 3 observations")


def test_families_come_with_the_largest_first() -> None:
    assert families(points(a=1, b=3, c_out=5)) == [
        {"name": "b", "n": 3},
        {"name": "a", "n": 1},
        {"name": "c", "n": 0},
    ]
