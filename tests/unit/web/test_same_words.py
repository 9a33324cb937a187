"""The terminal and the page say the same in the same words, and no other file has words of its own for it."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

import gapcast.cli
from gapcast import words
from gapcast.cli.printing.predictions import print_prediction
from gapcast.cli.printing.runs import print_run
from gapcast.contract.predictions import PredictionOut
from gapcast.contract.probes import Control, Controls
from gapcast.contract.training_results import TrainingRunOut
from gapcast.display.tables import prediction_table
from service.jobs import repository as jobs
from service.jobs.models import JobState
from service.kinds import settle
from service.predictions.models import Prediction
from service.probes import repository as probes
from service.web import static_directory
from service.web.docs import SITE
from service.web.rendering import MINUS, typeset
from tests.support.asking import run_of
from tests.support.markup import Elements
from tests.support.results import probe_result, stored
from tests.support.training_results import training_result
from tests.unit.training_runs.conftest import Worker

Body = dict[str, Any]
CLI = Path(gapcast.cli.__file__).parent
DISPLAY = CLI.parent / "display"
WEB = static_directory.parent


def on_page(client: TestClient, path: str) -> str:
    """All that the page shows of it, with the hyphens of the terminal."""
    return Elements(f"<main>{client.get(path).text}</main>").text_of("main").replace(MINUS, "-")


def terminal() -> Console:
    return Console(file=io.StringIO(), width=1000)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


@pytest.fixture
def prediction(client: TestClient, configuration: Body) -> PredictionOut:
    """One with a measured gap and controls that are off, far beyond the stored gaps under a law of uncertain shape."""
    made = client.post("/v1/predictions", json=configuration | {"min_gain": 0.02, "pool": "lab"}).json()
    off = Control(value=-0.082, se=0.02)
    gap = probe_result().gap.model_copy(update={"value": 0.7, "student": 0.005, "self_teacher": 0.705})
    result = stored(probe_result(gap=gap, controls=Controls(none=off, placebo=off, shuffled_feedback=None)))
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        job = jobs.claim(session, probes.by_id(session, made["probe_id"]).job_id, "test", 60)
        assert job is not None
        ended = jobs.finish(session, job.id, job.attempt, JobState.succeeded)
        assert ended is not None
        probes.store_result(session, ended.subject_id, result)
        settle(session, ended)
    with client.app.state.gapcast.database.write() as session:  # type: ignore[attr-defined]
        row = session.get_one(Prediction, made["id"])
        links = {"linear": 0.7, "tanh": 0.2, "exp": 0.1}
        row.answer = row.answer | {"law": row.answer["law"] | {"links": links}}
        row.answer["cost"] |= {"probe_gpu_hours": 0.5, "training_seconds_estimate": 1234.0}
    return PredictionOut.model_validate(client.get(f"/v1/predictions/{made['id']}").json())


def test_another_number_of_a_prediction_is_one_more_row_of_words(
    client: TestClient, prediction: PredictionOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its contract, what computes it and `words.chances` are all that a field of a prediction needs."""
    for module in ("gapcast.words", "gapcast.cli.printing.predictions"):
        monkeypatch.setattr(f"{module}.chances", lambda found, _: [("Doubles", f"{found.p_positive} of one")])
    console = terminal()
    print_prediction(console, prediction)
    assert prediction.improvement is not None
    said = f"{prediction.improvement.p_positive} of one"
    for shown in (
        printed(console),
        on_page(client, f"/predictions/{prediction.id}"),
        prediction_table(prediction),
    ):
        assert re.search(rf"Doubles\W.*{re.escape(said)}|Doubles{re.escape(said)}", shown, re.DOTALL), shown


def test_a_prediction_reads_the_same_in_both(client: TestClient, prediction: PredictionOut) -> None:
    console = terminal()
    print_prediction(console, prediction)
    shown = (printed(console), on_page(client, f"/predictions/{prediction.id}"))
    improvement, law, cost = prediction.improvement, prediction.law, prediction.cost
    assert improvement is not None
    assert improvement.p_positive is not None
    assert law is not None
    assert cost is not None
    assert cost.probe_seconds is not None
    assert {one.code for one in prediction.warnings} > {"none_control_off", "extrapolation"}
    for said in (
        words.verdict(prediction.verdict, 0.02).reason.removeprefix("the"),
        words.improves(improvement.p_positive),
        f"{words.probability(improvement.p_collapse)} probability",
        *(f"{words.level(one.level)}" for one in improvement.intervals),
        words.law_status(law.status, law.n),
        words.shape(law.links.linear),
        words.estimated(prediction.probe.net_gap if prediction.probe is not None else None),
        f"about {words.duration(1234)}",
        f"{words.duration(cost.probe_seconds)}, 0.5 GPU-hours",
        *(words.warning(one) for one in prediction.warnings),
    ):
        assert said in shown[0]
        assert said.replace("`", "") in shown[1], "what stands between back quotes is set as code"
    for message in (one.message for one in prediction.warnings if one.numbers):
        assert message not in shown[0]
        assert message not in shown[1]


def test_a_run_reads_the_same_in_both(client: TestClient, configuration: Body) -> None:
    worker = Worker(client.app.state.gapcast.database)  # type: ignore[attr-defined]
    made = client.post("/v1/training_runs", json=run_of(configuration) | {"recipe": {"steps": 20}}).json()
    worker.claim(made["id"])
    worker.end(made["id"], result=training_result(collapsed=True, stopped_by="collapse"))
    run = TrainingRunOut.model_validate(client.get(f"/v1/training_runs/{made['id']}").json())
    console = terminal()
    print_run(console, run)
    assert run.cost is not None
    for said in (
        words.collapse("collapse").removeprefix("half"),
        words.estimated(run.gap),
        words.estimated(run.improvement),
        words.run_cost(run.cost),
        *(words.warning(one) for one in run.warnings),
    ):
        assert said in printed(console)
        assert said in on_page(client, f"/training_runs/{run.id}")


TABLES: tuple[dict[str, str], ...] = (
    {code: reason for code, (_, reason) in words.VERDICTS.items()},
    words.LAW_STATUS,
    words.STATES,
    words.PHASES,
    words.ASKED,
    words.HAPPENED,
    words.NO_CONTEXT,
    words.STOPPED,
    words.LEFT_OUT,
    words.WARNINGS,
)


def phrases() -> set[str]:
    """What words.py defines that is more than one word; of a text with numbers, its longest part without one."""
    texts = (max(re.split(r"\{\w+\}", text), key=len).strip(" .:;,") for table in TABLES for text in table.values())
    return {text.lower() for text in texts if " " in text}


OURS = [
    path
    for folder in (CLI, DISPLAY, WEB)
    for path in sorted(folder.rglob("*"))
    if path.suffix in {".py", ".js", ".html"} and "vendor" not in path.parts and SITE not in path.parents
]


@pytest.mark.parametrize("path", OURS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_other_file_has_the_words(path: Path) -> None:
    text = path.read_text()
    strays = {phrase for phrase in phrases() if phrase in " ".join(text.lower().split())}
    # the name of a state or a verdict is a word of the language, unless it stands there as a text to be shown
    names = {words.sentence(one) for table in (words.STATES, words.PHASES) for one in table.values()}
    names |= {name for name, _ in words.VERDICTS.values() if " " in name}
    strays |= {one for one in names if re.search(rf"""["'`>]{one}["'`<]""", text)}
    if WEB in path.parents or "printing" in path.parts:
        code = re.sub(r'(?s)""".*?"""' if path.suffix == ".py" else r"//.*", "", text)
        strays |= {words.POINTS} if words.POINTS in code else set()
    assert not strays


def test_the_page_is_read_with_the_words_that_are_looked_for() -> None:
    assert len(OURS) > 40
    assert {"waiting for a worker", "no hints", "the whole 80 % interval is above"} <= phrases()


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("-3.2 ± 1.0", f"{MINUS}3.2 ± 1.0"),
        ("Qwen3-8B (-1.0 to +2.0)", f"Qwen3-8B ({MINUS}1.0 to +2.0)"),
        ("2026-07-31", "2026-07-31"),
    ],
)
def test_numbers_have_minus_signs_and_names_keep_their_hyphens(text: str, typed: str) -> None:
    assert typeset(text) == typed
