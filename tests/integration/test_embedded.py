"""The embedded default as a user has it: one command, a server and its worker, nothing else."""

import json
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gapcast import Client, Probe
from gapcast.contract.waiting import QUEUES
from service.jobs.messages import broker_queue
from tests.support import malformed
from tests.support.product import GAPCAST, alive, ask, children_of, ended, environment, eventually, serving, working
from tests.support.queues import LONG_RUN, not_held_up, starts

pytestmark = pytest.mark.slow

Body = dict[str, Any]


def test_from_a_question_to_a_prediction(tmp_path: Path, configuration: Body) -> None:
    with serving(tmp_path, {}) as (client, server):
        created = client.predictions.create(configuration)
        assert created.status in {"queued", "running"}
        events = list(client.predictions.events(created.id))
        prediction = client.predictions.get(created.id)
        assert prediction.status == "succeeded"
        assert [one.type for one in events][:2] == ["prediction.created", "job.started"]
        assert events[-1].type == "prediction.succeeded"
        assert sum(one.type == "prediction.succeeded" for one in events) == 1
        assert prediction.gap is not None
        assert prediction.gap.problems == 16
        assert prediction.gap.value == pytest.approx(prediction.gap.self_teacher - prediction.gap.student)
        assert created.probe_id is not None
        probe = client.probes.get(created.probe_id)
        assert probe.result is not None
        counts = probe.result.arms["student"].counts
        assert sum(counts or []) / (16 * 2) == pytest.approx(prediction.gap.student)
        see_the_rollouts(client, probe, server.text)
        again = client.predictions.create(configuration)
        assert again.status == "succeeded"
        assert again.gap == prediction.gap
        started = children_of(server.process.pid)
        assert started, "the embedded worker"
    eventually(lambda: not any(alive(pid) for pid in started), 20)


def see_the_rollouts(client: Client, probe: Probe, log: str) -> None:
    """Every rollout of this small probe is stored: their scores are its counts, and the gap is gained minus lost."""
    assert probe.result is not None
    assert probe.samples is not None
    samples = list(client.probes.samples(probe.id))
    assert len(samples) == probe.samples.count == len(probe.result.arms) * 16 * 2
    for name, arm in probe.result.arms.items():
        of_arm = [one for one in samples if one.arm == name]
        sums = [
            sum(one.score for one in of_arm if one.problem_id == problem) for problem in probe.result.problem_ids or []
        ]
        assert sums == arm.counts
    gained, lost = (list(client.probes.samples(probe.id, flip=flip)) for flip in ("gained", "lost"))
    assert (len(gained) - len(lost)) / 2 / (16 * 2) == pytest.approx(probe.result.gap.value)
    assert gained
    for student, teacher in zip(gained[::2], gained[1::2], strict=True):
        assert (student.arm, student.score, student.context) == ("student", 0, None)
        assert (teacher.arm, teacher.score, teacher.problem_id) == ("context", 1, student.problem_id)
        assert teacher.context is not None
        assert teacher.context in teacher.question
        assert student.question in teacher.question
    events = ask(client, "GET", f"/v1/probes/{probe.id}/events?limit=100")
    assert "samples" not in str(events)
    done = subprocess.run(
        [GAPCAST, "probes", "samples", probe.id, "--flip", "gained", "--limit", "1"],
        env=environment({"GAPCAST_URL": client.url, "COLUMNS": "80"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = done.stdout.splitlines()
    student, teacher = gained[:2]
    assert shown[0] == f"{student.problem_id}, rollout 0, gained: the student is wrong, the self-teacher right"
    for words in (student.completion, teacher.completion, teacher.context, student.question):
        assert f"    {words}" in shown
    assert not any(one.context in log for one in samples if one.context is not None)


def test_the_command_predicts_from_a_file(tmp_path: Path, configuration: Body) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(configuration))
    with serving(tmp_path, {}) as (client, _):

        def gapcast(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [GAPCAST, *arguments],
                env=environment({"GAPCAST_URL": client.url, "COLUMNS": "200"}),
                capture_output=True,
                text=True,
                check=False,
            )

        done = gapcast("predict", str(file))
        assert done.returncode == 0, done.stdout + done.stderr
        for words in ("Gap", "80 % interval", "95 % interval", "none (A/A)", "placebo", f"{client.url}/predictions/"):
            assert words in done.stdout
        printed = json.loads(gapcast("predict", str(file), "--json").stdout)
        assert printed["status"] == "succeeded"
        file.write_text(json.dumps(configuration | {"task": "no/such"}))
        wrong = gapcast("predict", str(file))
        assert wrong.returncode == 2
        assert "lab/addition" in wrong.stderr
        file.write_text("{")
        assert gapcast("predict", str(file)).returncode == 2


def test_the_demo_prints_a_prediction_and_stops_all_it_started(tmp_path: Path) -> None:
    command = [GAPCAST, "demo", "--port", "0"]
    for _ in range(2):
        done = subprocess.run(
            [*command, "--data-dir", str(tmp_path / "demo")],
            env=environment({"COLUMNS": "200", "GAPCAST_DATABASE_URL": "postgresql://nowhere.invalid/x"}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for words in ("Gap", "80 % interval", "95 % interval", "none (A/A)", "The page: http://127.0.0.1:"):
            assert words in done.stdout
    assert "stored already" in done.stdout
    left = subprocess.run(["pgrep", "-f", str(tmp_path / "demo")], capture_output=True, text=True, check=False).stdout
    assert left == ""


def test_the_worker_drops_malformed_messages_and_goes_on(tmp_path: Path, configuration: Body) -> None:
    messages = [message.envelope() for message in (malformed.MALFORMED | malformed.HARMLESS).values()]
    messages += (malformed.MALFORMED_ENVELOPES | malformed.HARMLESS_ENVELOPES).values()
    with serving(tmp_path, {}) as (client, server):
        worker = children_of(server.process.pid)
        for number, (raw, queue) in enumerate(product(messages, QUEUES)):  # named before real messages
            hidden = tmp_path / "message"
            hidden.write_bytes(raw)
            hidden.rename(tmp_path / "data" / "broker" / "messages" / f"0_{number}.{broker_queue(queue)}.msg")
        created = client.predictions.create(configuration)
        assert ended(client, created).status == "succeeded"
        assert children_of(server.process.pid) == worker
        dropped = len(QUEUES) * (len(malformed.MALFORMED) + len(malformed.MALFORMED_ENVELOPES))
        eventually(lambda: server.text.count("message dropped") == dropped, known=lambda: server.text)
        assert "Traceback" not in server.text


def test_a_probe_does_not_wait_behind_a_training_run_nor_a_run_behind_a_probe(
    tmp_path: Path, configuration: Body
) -> None:
    with serving(tmp_path, {}) as (client, _):
        run = starts(client)
        not_held_up(client, configuration, run)
        second = ask(client, "POST", "/v1/training_runs", json=LONG_RUN | {"seeds": [1]})
        assert (second["waiting"]["ahead"], second["waiting"]["workers"]) == (0, 1)
        # its pace is known once a second step is done
        assert eventually(lambda: running_before(client, second).get("seconds_left")) > 0
        assert running_before(client, second)["id"] == run["id"]
        client.training_runs.cancel(second["id"])
        client.training_runs.cancel(run["id"])


def running_before(client: Client, run: Body) -> Body:
    found: Body = ask(client, "GET", f"/v1/training_runs/{run['id']}")["waiting"]["running"]
    return found


def test_a_worker_for_training_alone_leaves_probes_and_they_say_so(tmp_path: Path, configuration: Body) -> None:
    settings = {"GAPCAST_DATA_DIR": str(tmp_path / "data")}
    with serving(tmp_path, {"GAPCAST_WORKER": "off"}) as (client, _):
        created = client.predictions.create(configuration)
        with working(tmp_path, settings | {"GAPCAST_WORKER_QUEUES": "training"}, "training"):
            run = starts(client)
            waiting = client.predictions.get(created.id).waiting
            assert waiting is not None
            assert (waiting.queue, waiting.workers, waiting.running) == ("probes", 0, None)
            with working(tmp_path, settings | {"GAPCAST_WORKER_QUEUES": "probes"}, "probes"):
                assert ended(client, created).status == "succeeded"
            assert client.training_runs.get(run["id"]).status == "running"
            second = ask(client, "POST", "/v1/training_runs", json=LONG_RUN | {"seeds": [1]})
            assert (second["waiting"]["workers"], second["waiting"]["running"]["id"]) == (1, run["id"])
        waiting = client.training_runs.get(second["id"]).waiting
        assert waiting is not None
        assert waiting.workers == 0, "it has stopped"
