"""vLLM where it is used: in a job's child process, whose answers come over a pipe and whose failures have names."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
from gapcast.contract.measured import Decoding, ModelOptions
from gapcast.contract.probes import ProbeConfiguration
from gapcast.launching import module_command
from service.probes.job import KIND
from tests.vllm.models import LAB_MODEL, change, plain_model
from workers.engines import folder_revision, model_folder
from workers.host.child_process import child_environment
from workers.tasks import load_task


def run(folder: Path, **options: Any) -> list[dict[str, Any]]:
    """The lines of a small probe with vLLM."""
    task = load_task("lab/addition")
    configuration = ProbeConfiguration(
        model="test/model",
        model_revision=folder_revision(folder),
        model_options=ModelOptions(**options),
        task=task.name,
        task_revision=task.revision,
        context=context_of({"kind": "hints"}),
        template_version=TEMPLATE_VERSION,
        decoding=Decoding(),
        engine="vllm",
        problems=24,
        rollouts=2,
        seed=0,
        controls=[],
    )
    job = {
        "entry": KIND.entry,
        "stops_gently": KIND.stops_gently,
        "configuration": configuration.model_dump(mode="json"),
        "resources": {"source": {"name": "test/model", "path": str(folder)}},
        "parent_pid": os.getpid(),
    }
    ended = subprocess.run(
        module_command("workers.child"),
        input=json.dumps(job) + "\n",
        capture_output=True,
        text=True,
        timeout=240,
        env=child_environment(),
    )
    return [json.loads(line) for line in ended.stdout.splitlines()]


def error(lines: list[dict[str, Any]]) -> tuple[str, str]:
    assert len(lines) == 1
    return lines[0]["error"]["code"], lines[0]["error"]["category"]


def test_a_probe_runs_with_vllm() -> None:
    *events, last = run(model_folder(LAB_MODEL))
    assert last["result"]["engine"]["engine"] == "vllm"
    assert last["result"]["engine"]["dtype"] == "float32"
    assert {event["event"] for event in events} >= {"probe.progress"}


class TestFailures:
    def test_more_ranks_than_devices_are_not_waited_for(self) -> None:
        assert error(run(model_folder(LAB_MODEL), tensor_parallel=64)) == ("engine_option_not_supported", "user")

    @pytest.fixture
    def copied(self, tmp_path: Path) -> Path:
        return plain_model(tmp_path / "model")

    def test_a_torn_file_of_weights(self, copied: Path) -> None:
        weights = copied / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:5000])
        assert error(run(copied)) == ("model_not_loadable", "user")

    def test_an_unknown_architecture(self, copied: Path) -> None:
        change(copied / "config.json", model_type="of_nobody", architectures=["NobodyForCausalLM"])
        assert error(run(copied)) == ("model_not_loadable", "user")

    def test_a_configuration_that_does_not_fit_the_weights(self, copied: Path) -> None:
        change(copied / "config.json", hidden_size=128)
        assert error(run(copied)) == ("model_not_loadable", "user")

    def test_a_context_that_no_memory_holds(self, copied: Path) -> None:
        change(copied / "config.json", max_position_embeddings=3_000_000)
        assert error(run(copied))[0] == "out_of_memory"
