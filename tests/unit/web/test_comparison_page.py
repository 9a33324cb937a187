"""Comparisons on the page, through the whole application; `race` does what a worker would."""

from collections.abc import Sequence
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient

from gapcast import comparison_words
from gapcast.contract.comparison_jobs import PartResult
from gapcast.contract.comparisons import ComparisonOut, ComparisonProgress, Round, Stop
from gapcast.contract.events import EventData, JobStarted
from gapcast.contract.predictions import Verdict
from service.comparisons import repository
from service.events import repository as events
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kit.database import Database
from service.web.intervals_plot import LONGEST_NAME, IntervalPlot, intervals_plot
from service.web.rendering import typeset
from tests.support.markup import Elements
from tests.support.races import end_part, first_round, standing

Body = dict[str, Any]
NASTY = '</text><script>alert("name")</script> & "more"'
ASKED: Body = {
    "base": {"model": "lab/addition-qwen3-s", "task": "lab/addition", "min_gain": 0.05},
    "vary": {"context": {"hinted": {"kind": "hints"}, NASTY: {"kind": "feedback"}, "low": {"kind": "peer_solution"}}},
}


class Race:
    """Does in the database what a worker does with the only job of a comparison."""

    def __init__(self, client: TestClient, **change: Any) -> None:
        self.client = client
        made = client.post("/v1/comparisons", json=ASKED | change)
        assert made.status_code == 202, made.text
        self.id: str = made.json()["id"]
        with self.database.read() as session:
            [part] = repository.parts(session, [self.id])
        self.job_id = part.job.id

    @property
    def database(self) -> Database:
        database: Database = self.client.app.state.gapcast.database  # type: ignore[attr-defined]
        return database

    def begin(self) -> None:
        with self.database.write() as session:
            job = jobs.claim(session, self.job_id, "test", 60)
            assert job is not None
        self.tell(JobStarted(attempt=1, worker="w"))

    def tell(self, event: EventData) -> None:
        with self.database.write() as session:
            events.add(session, "local", self.job_id, event)

    def progress(self, done: int, total: int, **more: Any) -> None:
        told = ComparisonProgress(done=done, total=total, **{"round": 1, **more})
        with self.database.write() as session:
            assert jobs.heartbeat(session, self.job_id, 1, 60, told.model_dump(mode="json"))

    def partial(self, rounds: Sequence[Round]) -> None:
        told = PartResult(rounds=list(rounds), rollouts=640, seconds=4.2, loads=1)
        with self.database.write() as session:
            repository.store_partial(session, self.job_id, told.model_dump(mode="json"))

    def end(self, state: JobState = JobState.succeeded, **change: Any) -> ComparisonOut:
        end_part(self.database, self.job_id, state, **change)
        return self.read()

    def read(self) -> ComparisonOut:
        return ComparisonOut.model_validate(self.client.get(f"/v1/comparisons/{self.id}").json())

    def shown(self) -> Elements:
        return page(self.client, f"comparisons/{self.id}")


def page(client: TestClient, path: str) -> Elements:
    response = client.get(f"/{path}")
    assert response.status_code == 200, response.text
    return Elements(response.text)


@pytest.fixture
def race(client: TestClient) -> Race:
    return Race(client)


class TestFollowed:
    def test_from_its_queue_to_its_first_rollouts(self, race: Race) -> None:
        found = race.shown()
        assert found.text_of("[data-slot=headline]") == "Waiting for a worker"
        no_worker = "No worker for probes has been seen: start one with `gapcast worker`"
        assert found.text_of("[data-slot=progress]") == no_worker
        assert not found.has("svg")
        assert [row[0] for row in found.rows("#comparison-rows")] == [""] * 3, "names are headers; nothing is known"
        race.begin()
        found = race.shown()
        assert found.text_of("[data-slot=progress]") == "Loading the model"
        race.progress(228, 2560)
        found = race.shown()
        assert found.text_of("[data-slot=progress]") == "Round 1, 228 of at most 2,560 rollouts"
        assert found.attributes_of("progress") == {"aria-label": "Rollouts", "max": "2560", "value": "228"}
        assert "hidden" not in found.attributes_of("#comparison-progress")

    def test_a_round_shows_who_leads(self, race: Race) -> None:
        race.begin()
        race.progress(640, 2560)
        step = race.shown().attributes_of("#comparison-live")["data-step"]
        race.partial([first_round()])
        race.progress(12, 768, of_second_probe=True)
        found = race.shown()
        assert found.text_of("[data-slot=headline]") == "Running"
        assert found.text_of("[data-slot=reason]") == (
            f"{NASTY} leads so far: +30.0 accuracy points (80 % interval +20.0 to +40.0), "
            "the best with 90.0 % probability."
        )
        assert found.text_of("[data-slot=progress]") == "Second probe of the winner, 12 of 768 rollouts"
        assert found.attributes_of("#comparison-live")["data-step"] != step
        assert not found.has("[data-slot=stopped]")
        first, *_, last = found.rows("#comparison-rows")
        assert first == ["+30.0", "+20.0 to +40.0", "90.0 %", "1.0", "+30.0 ± 4.0", "32", "", "", "", ""]
        assert last[:3] == [typeset("-10.0"), typeset("-20.0 to 0.0"), "0.4 %"]

    def test_counts_within_a_round_are_not_spoken(self, race: Race) -> None:
        race.begin()
        steps = []
        for done in (100, 300):
            race.progress(done, 2560)
            found = race.shown()
            steps.append(found.attributes_of("#comparison-live")["data-step"])
            assert f"{done} of at most 2,560 rollouts" in found.text_of("#comparison-live")
        assert steps[0] == steps[1]

    def test_who_leads_stands_first_though_another_is_more_often_best(self, race: Race) -> None:
        race.begin()
        race.partial([first_round(leader=0)])
        assert race.shown().rows("#comparison-rows")[0][0] == "+20.0"

    def test_a_failed_one_says_why(self, race: Race) -> None:
        race.begin()
        race.partial([first_round()])
        race.end(JobState.failed)
        found = race.shown()
        assert found.text_of("[data-slot=headline]") == "Failed"
        assert found.text_of("[data-slot=reason]").startswith("it broke")
        assert found.attributes_of("#comparison-now")["data-verdict"] == "refused"

    def test_a_cancelled_one_keeps_its_rounds(self, race: Race) -> None:
        race.begin()
        race.partial([first_round()])
        race.client.post(f"/v1/comparisons/{race.id}/cancel")
        found = race.shown()
        assert found.text_of("[data-slot=headline]") == "Cancelled"
        assert "leads so far" in found.text_of("[data-slot=reason]")
        assert found.has("svg")


@pytest.mark.slow
class TestEnded:
    @pytest.fixture
    def ended(self, race: Race) -> ComparisonOut:
        race.begin()
        return race.end()

    def test_the_sentence_comes_from_the_second_probe(self, race: Race, ended: ComparisonOut) -> None:
        assert ended.winner is not None
        answer = ended.winner.answer
        found = race.shown()
        names = {"pilot": f"Pilot {NASTY}", "probe_more": f"Probe {NASTY} more", "train": f"Train {NASTY}"}
        assert found.text_of("[data-slot=headline]") == names[answer.verdict]
        reason = found.text_of("[data-slot=reason]")
        assert reason.startswith(f"With 90.0 % probability {NASTY} is the best of 3. Fresh samples of it predict ")
        assert f"{100 * (answer.improvement.value or 0):+.1f} accuracy points (80 % interval" in reason
        facts = found.facts()
        assert facts["When chosen"].startswith("+30.0 accuracy points (80 % interval +20.0 to +40.0): too high")
        assert facts["Not told apart"] == "hinted"
        assert facts["Stopped"] == (
            "After 1 round: more problems would hardly change the choice: with 95 % probability no other prediction "
            "would come out more than 1.0 points higher"
        )
        assert facts["Spent"].startswith("640 rollouts to choose, 25 % of the 2,560 of an equal split; 128 for the")

    def test_the_table_has_the_winner_twice(self, race: Race, ended: ComparisonOut) -> None:
        found = race.shown()
        rows = found.rows("#comparison-rows")
        assert len(rows) == 4
        second = rows[1]
        assert second[2:6] == ["", "", "+25.0 ± 4.0", "16"]
        assert second[6] == "96 rollouts, 1.5 s, 0.25 GPU-hours"
        [winner] = [one for one in ended.configurations if one.place == 1]
        assert rows[0][8] == comparison_words.gain_per_hour(winner.gain_per_hour or 0)
        heads = [one for one in found.named("th") if one["scope"] == "row"]
        assert len(heads) == 4
        addresses = [one["href"] for one in found.named("a") if "/predictions/" in (one["href"] or "")]
        assert ended.winner is not None
        assert addresses[1] == f"/predictions/{ended.winner.prediction_id}"
        assert [one.get("data-mark") for one in found.named("tr")[1:]] == ["best", "second", None, "eliminated"]

    def test_the_plot_says_what_it_draws(self, race: Race, ended: ComparisonOut) -> None:
        found = race.shown()
        attributes = found.attributes_of("[role=img]")
        assert attributes["role"] == "img"
        spoken = attributes["aria-label"] or ""
        assert f"the best first: {NASTY} +30.0 (+20.0 to +40.0); hinted +20.0" in spoken
        assert f"low {typeset('-10.0 (-20.0 to 0.0)')}, eliminated. Second probe of the winner: " in spoken
        classes = [attributes.get("class") for _, attributes in found.tags]
        assert classes.count("mean") == 4
        assert classes.count("second") == classes.count("faded") == 1
        assert classes.count("floor") == 3

    def test_text_of_people_is_escaped(self, client: TestClient, race: Race, ended: ComparisonOut) -> None:
        for path in (f"/comparisons/{ended.id}", "/comparisons", "/"):
            text = client.get(path).text
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert" in text
            assert "style=" not in text, "no inline style: the page's policy would drop it"

    def test_the_first_page_says_what_was_decided(self, client: TestClient, race: Race, ended: ComparisonOut) -> None:
        Race(client, name="another")
        home = page(client, "")
        assert home.text_of("#glance").index("another") < home.text_of("#glance").index("What was decided")
        advice = comparison_words.advice(ended)
        assert typeset(f"{advice.headline}. {advice.reason}") in home.text_of("#glance")
        assert "hx-get" in home.attributes_of("#glance"), "something goes on, so it looks again"

    def test_predictions_that_it_made_are_not_told_beside_it(self, client: TestClient, ended: ComparisonOut) -> None:
        given = {name: ASKED["base"][name] for name in ("model", "task")} | {"context": {"kind": "hints"}}
        gap = {"value": 0.2, "se": 0.02, "student": 0.4}
        asked = client.post("/v1/predictions", json=given | {"gap": gap}).json()["id"]
        made = {one["id"] for one in client.get("/v1/predictions").json()["data"]} - {asked}
        assert {one.prediction_id for one in ended.configurations} <= made | {None}
        decided = {one["href"] for one in page(client, "").named("a") if str(one.get("id")).startswith("of/")}
        assert decided == {f"/predictions/{asked}", f"/comparisons/{ended.id}"}
        assert len(made) > 2


def test_what_is_not_there_is_the_apis_problem(client: TestClient) -> None:
    response, api = client.get("/comparisons/cmp_1"), client.get("/v1/comparisons/cmp_1")
    assert (response.status_code, response.json()["detail"]) == (404, api.json()["detail"])


def test_every_stop_and_verdict_has_words() -> None:
    assert set(comparison_words.STOPPED) == set(get_args(Stop))
    assert set(comparison_words.ADVICE) == set(get_args(Verdict))


@pytest.mark.slow
def test_several_are_picked_together(client: TestClient) -> None:
    race = Race(client, pick=2)
    race.begin()
    ended = race.end(rounds=[first_round(picked=[0, 1], p_best_picked=0.996)])
    assert comparison_words.picked(ended) == (f"{NASTY}, hinted: the best is among them with 99.6 % probability"), (
        "the best first"
    )
    assert comparison_words.advice(ended).reason.startswith("With 99.6 % probability the best of 3 is one of ")
    assert ended.winner is not None
    trained = ended.model_copy(update={"winner": ended.winner.model_copy(deep=True)})
    assert trained.winner is not None
    trained.winner.answer.verdict = "train"
    assert comparison_words.advice(trained).headline == f"Train {NASTY} and hinted"


class TestPlot:
    @pytest.fixture
    def running(self, race: Race) -> ComparisonOut:
        race.begin()
        race.partial([first_round()])
        return race.read()

    def drawn(self, found: ComparisonOut, *values: float | None) -> IntervalPlot | None:
        """The plot with these values, the best first, and intervals of 10 points to either side."""
        shown = []
        for one, value in zip(found.configurations, values, strict=True):
            of = {"value": None, "interval": None} if value is None else {}
            shown.append(one.model_copy(update={"standing": standing(one.place, value or 0.0, **of)}))
        return intervals_plot(found.model_copy(update={"configurations": shown}))

    def test_places_are_in_proportion(self, running: ComparisonOut) -> None:
        plot = self.drawn(running, 0.3, 0.2, -0.1)
        assert plot is not None
        first, second, last = plot.lines
        assert first.bar is not None
        assert second.bar is not None
        assert last.bar is not None
        assert (last.bar.lower, first.bar.upper) == (4.0, 96.0), "a margin beside the outermost ends"
        point = 92 / 60  # from -20 to +40
        assert plot.zero == pytest.approx(4 + 20 * point, abs=0.01)
        assert second.bar.value == pytest.approx(4 + 40 * point, abs=0.01)
        assert first.floor == pytest.approx(4 + 25 * point, abs=0.01)
        assert [tick.text for tick in plot.ticks] == ["-20", "-10", "0", "+10", "+20", "+30", "+40"]
        assert first.second is None
        assert first.name == f"{NASTY[: LONGEST_NAME - 1]}…"

    def test_zero_is_inside_where_all_gain(self, running: ComparisonOut) -> None:
        plot = self.drawn(running, 0.5, 0.4, 0.3)
        assert plot is not None
        assert plot.zero == 4.0

    def test_what_is_refused_has_no_bar(self, running: ComparisonOut) -> None:
        plot = self.drawn(running, 0.3, None, None)
        assert plot is not None
        assert [line.bar is None for line in plot.lines] == [False, True, True]
        assert "hinted no prediction" in plot.description
        assert self.drawn(running, None, None, None) is None
