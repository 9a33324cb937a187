import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import Result

from gapcast import Client, Probe
from gapcast.cli.configuration import Configuration
from gapcast.cli.probe import request_of
from tests.support.product import environment, eventually

Run = Callable[..., Result]


@pytest.fixture
def seed() -> int:
    return uuid.uuid4().int % 2**32


@pytest.fixture
def configuration(tmp_path: Path, seed: int) -> Path:
    """One of a prediction, of a probe that nobody has asked for."""
    file = tmp_path / "config.yaml"
    file.write_text(
        "model: {name: lab/addition-qwen3-s}\ntask: lab/addition\ncontext: {kind: hints}\n"
        f"probe: {{problems: 16, seed: {seed}}}\nrecipe: {{steps: 10}}\npool: lab\nlevels: [0.9]\nmin_gain: 0.1\n"
    )
    return file


def asked_for(client: Client, seed: int) -> Probe | None:
    return next((one for one in client.probes.list().data if one.configuration.seed == seed), None)


class TestRequest:
    def test_a_gap_depends_on_the_recipes_group_alone(self) -> None:
        recipe = {"steps": 10, "group_size": 8}
        body = {"model": {"name": "m"}, "recipe": recipe, "pool": "lab", "levels": [0.8], "min_gain": 0, "probe": None}
        body |= {"seeds": [1], "training": {"export": "none"}}
        assert request_of(Configuration(body)) == {"model": {"name": "m"}, "group_size": 8}

    def test_the_width_of_a_prediction_gives_way_to_the_gaps(self) -> None:
        body = Configuration({"probe": {"problems": 100, "target_half_width": 0.1}})
        assert request_of(body, 0.05) == {"probe": {"problems": 100}, "target_gap_half_width": 0.05}
        with pytest.raises(typer.Exit):
            request_of(body)

    def test_a_gap_that_was_measured_is_not_measured(self) -> None:
        with pytest.raises(typer.Exit):
            request_of(Configuration({"gap": {"value": 0.1, "se": 0.02, "student": 0.3}}))


class TestProbe:
    def test_one_that_is_cancelled_elsewhere_exits_with_1(
        self, gapcast: Run, connected: Client, configuration: Path, seed: int
    ) -> None:
        def cancel() -> None:
            connected.probes.cancel(eventually(lambda: asked_for(connected, seed)).id)

        other = threading.Thread(target=cancel)
        other.start()
        done = gapcast("probe", configuration, "--json")
        other.join()
        assert done.exit_code == 1, done.output
        assert json.loads(done.stdout)["status"] == "cancelled"

    def test_ctrl_c_stops_following_alone(self, server: str, connected: Client, configuration: Path, seed: int) -> None:
        # whoever runs the tests may have us ignore the signal
        heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        script = f"{heard}; from gapcast.cli.main import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", script, "probe", str(configuration)],
            env=environment({"GAPCAST_URL": server, "PYTHONUNBUFFERED": "1"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "  no worker for probes has been seen: start one with `gapcast worker`\n"
        os.kill(process.pid, signal.SIGINT)
        out, told = process.communicate(timeout=120)
        created = asked_for(connected, seed)
        assert created is not None
        assert (process.returncode, created.status, out) == (130, "queued", "")
        commands = [f"  gapcast probes {action} {created.id}" for action in ("follow", "cancel")]
        assert told.splitlines() == ["", f"No longer following {created.id}, which goes on.", *commands]

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ("task: no/such", "task: expected a listed task, got 'no/such'"),
            ("context: {kind: hint}", "config.yaml:8: context.kind: expected none, static,"),
            ("probe: {target_half_width: 0.1}", "--half-width"),
            ("gap: {value: 0.1, se: 0.1, student: 0.2}", "gap: was measured elsewhere already"),
            ("typo: 1", "typo: "),
        ],
    )
    def test_what_does_not_fit_is_said_in_one_line(
        self, gapcast: Run, configuration: Path, wrong: str, words: str
    ) -> None:
        kept = [line for line in configuration.read_text().splitlines() if line.split(":")[0] != wrong.split(":")[0]]
        configuration.write_text("\n".join([*kept, wrong]))
        done = gapcast("probe", configuration)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(words) or words in done.stderr

    def test_a_width_in_points_is_refused_before_the_server_is_asked(self, gapcast: Run, configuration: Path) -> None:
        done = gapcast("probe", configuration, "--half-width", "5", "--url", "http://127.0.0.1:9")
        assert (done.exit_code, "0.05 is 5 accuracy" in " ".join(done.stderr.replace("│", "").split())) == (2, True)
