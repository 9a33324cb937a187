"""`client.comparisons` and the commands about comparisons, against a server without a worker."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from gapcast import Client, Comparison, GapcastError, InvalidRequest
from gapcast.contract.comparisons import ComparisonOut
from gapcast.contract.events import EventPage
from tests.support.keys import unknown_keys
from tests.support.product import ask, eventually

pytestmark = pytest.mark.slow

Run = Callable[..., Result]

BASE = {"model": "lab/addition-qwen3-s", "task": "lab/addition"}
VARY = {"context": {"all": {"kind": "hints"}, "some": {"kind": "hints", "options": {"level": 3}}}}


@pytest.fixture
def waiting(connected: Client, pool: str) -> Comparison:
    """A comparison that nobody has begun, with a name of its own."""
    return connected.comparisons.create(base=BASE, vary=VARY, name=pool, tags=["sweep"], pick=1)


class TestClient:
    def test_one_is_asked_field_by_field_or_whole(self, connected: Client, waiting: Comparison) -> None:
        assert (waiting.status, waiting.ended, waiting.best, waiting.winner) == ("queued", False, None, None)
        assert [one.name for one in waiting.configurations] == ["all", "some"]
        whole = connected.comparisons.create(waiting.request, name="another")
        assert [one.request for one in whole.configurations] == [one.request for one in waiting.configurations]
        assert connected.comparisons.get(waiting.id, wait=1).id == waiting.id
        connected.comparisons.cancel(whole.id)

    def test_every_key_of_an_answer_is_a_field(self, connected: Client, waiting: Comparison) -> None:
        path = f"/v1/comparisons/{waiting.id}"
        assert unknown_keys(ComparisonOut, ask(connected, "GET", path)) == []
        assert unknown_keys(EventPage, ask(connected, "GET", f"{path}/events", params={"after": ""})) == []

    def test_they_are_listed_by_what_they_are_called(self, connected: Client, waiting: Comparison, pool: str) -> None:
        listed = connected.comparisons.list(name=pool, tag="sweep", task="lab/addition", pool="lab", status="queued")
        assert [one.id for one in listed] == [waiting.id]
        assert connected.comparisons.list(name=pool, status="succeeded").data == []

    def test_a_post_under_one_key_takes_effect_once(self, connected: Client, pool: str) -> None:
        first = connected.comparisons.create(base=BASE, vary=VARY, idempotency_key=pool)
        assert connected.comparisons.create(base=BASE, vary=VARY, idempotency_key=pool).id == first.id
        connected.comparisons.cancel(first.id)

    def test_waiting_ends_with_the_comparison(self, connected: Client, waiting: Comparison) -> None:
        found: list[Comparison] = []
        thread = threading.Thread(target=lambda: found.append(connected.comparisons.wait(waiting.id)))
        thread.start()
        assert connected.comparisons.cancel(waiting.id).status == "cancelled"
        thread.join(60)
        assert [one.status for one in found] == ["cancelled"]
        types = [event.type for event in connected.comparisons.events(waiting.id)]
        assert (types[0], types[-1]) == ("comparison.created", "comparison.cancelled")
        with pytest.raises(GapcastError) as refused:
            connected.comparisons.cancel(waiting.id)
        assert refused.value.code == "conflict"

    def test_what_does_not_fit_is_named(self, connected: Client) -> None:
        with pytest.raises(InvalidRequest) as refused:
            connected.comparisons.create(configurations=[BASE | {"context": {"kind": "hints"}}])
        assert refused.value.param == "configurations"


class TestCommand:
    @pytest.fixture
    def files(self, tmp_path: Path) -> list[Path]:
        """A file for each of two contexts."""
        made = []
        for kind in ("hints", "feedback"):
            made.append(tmp_path / f"{kind}.yaml")
            made[-1].write_text(f"model: lab/addition-qwen3-s\ntask: lab/addition\ncontext: {{kind: {kind}}}\n")
        return made

    def test_detached_it_is_queued_with_its_options(
        self, gapcast: Run, connected: Client, files: list[Path], pool: str
    ) -> None:
        options = ["--confidence", "0.9", "--indifference", "0.02", "--budget-rollouts", "9000", "--name", pool]
        done = gapcast("compare", *files, *options, "--tag", "sweep", "--set", "recipe.steps=40", "--detach")
        assert done.exit_code == 0, done.output
        (found,) = connected.comparisons.list(name=pool).data
        assert done.stdout == f"{found.id}  queued\n"
        assert done.stderr == f"To follow: gapcast comparisons follow {found.id}\n"
        asked = found.request
        assert (asked.confidence, asked.indifference, asked.pick, asked.tags) == (0.9, 0.02, 1, ["sweep"])
        assert (asked.budget.rollouts, asked.budget.minutes) == (9000, None)
        assert [one.name for one in found.configurations] == [str(file) for file in files]
        assert [one.request.recipe.steps for one in found.configurations] == [40, 40]
        connected.comparisons.cancel(found.id)

    def test_those_to_train_are_picked(self, gapcast: Run, connected: Client, files: list[Path]) -> None:
        more = ["--vary", "context=hints,feedback,peer_solution", "--pick", "2", "--json", "--detach"]
        found = Comparison.model_validate(json.loads(gapcast("compare", files[0], *more).stdout))
        assert found.request.pick == 2
        assert [one.name for one in found.configurations] == ["hints", "feedback", "peer_solution"]
        connected.comparisons.cancel(found.id)

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--train", "2"], "--train: expected less than 2, the configurations, got 2. Lower it.\n"),
            (["--train", "1", "--detach"], "--train: the runs are queued when the comparison has ended."),
            (["--train", "2", "--pick", "1"], "--train: expected at most --pick, 1, got 2."),
            (["--budget-rollouts", "10"], "--budget-rollouts: expected at least 512, "),
            (["--budget-minutes", "0"], "--budget-minutes: expected a number above 0"),
            (["--indifference", "2"], "expected a share from 0 to 1, got 2."),
            (["--confidence", "95"], "expected a level between 0 and 1"),
            (["--set", "recipe.stepz=1"], "--set recipe.stepz: is not a field of recipe. Did you mean steps?\n"),
            (["--pool", "nosuch"], "--pool: expected a pool that something is stored in"),
        ],
    )
    def test_what_does_not_fit_is_named_by_its_option(
        self, gapcast: Run, files: list[Path], options: list[str], said: str
    ) -> None:
        done = gapcast("compare", *files, *options)
        assert done.exit_code == 2, done.output
        assert said in done.stderr
        assert done.stderr.count("Did you mean") <= 1

    def test_they_are_listed_shown_and_cancelled(
        self, gapcast: Run, connected: Client, waiting: Comparison, pool: str
    ) -> None:
        listed = gapcast("comparisons", "list", "--name", pool, "--status", "queued").stdout
        assert listed.splitlines()[1].split()[0] == waiting.id
        short = waiting.id[:-4]
        shown = gapcast("comparisons", "show", short).stdout
        assert shown.splitlines()[1] == "waiting for a worker"  # below its name and tags
        assert [line.split()[-1] for line in shown.splitlines()[3:5]] == ["all", "some"]
        assert gapcast("comparisons", "cancel", short).stdout == f"{waiting.id}: cancelled\n"
        assert json.loads(gapcast("comparisons", "show", short, "--json").stdout)["status"] == "cancelled"
        followed = gapcast("comparisons", "follow", short)
        assert followed.exit_code == 1
        assert followed.stdout.splitlines()[1] == "cancelled"

    def test_one_that_is_cancelled_by_somebody_else_ends_with_1(
        self, gapcast: Run, connected: Client, files: list[Path], pool: str
    ) -> None:
        def cancel() -> None:
            (found,) = eventually(lambda: connected.comparisons.list(name=pool).data)
            connected.comparisons.cancel(found.id)

        thread = threading.Thread(target=cancel)
        thread.start()
        done = gapcast("compare", *files, "--name", pool)
        thread.join()
        assert done.exit_code == 1
        assert done.stdout.startswith("  waiting for a worker\n")
        assert "\ncancelled\n" in done.stdout


def test_the_rest_is_json(connected: Client, waiting: Comparison) -> None:
    answer: dict[str, Any] = ask(connected, "GET", f"/v1/comparisons/{waiting.id}")
    assert Comparison.model_validate(answer).model_dump(mode="json") == answer
    connected.comparisons.cancel(waiting.id)
