"""Three engines, one model, the same decoding: the gap is the model's and not the engine's."""

import json
import os
import subprocess
from itertools import combinations
from typing import Any

import pytest

from gapcast.contract.contexts import TEMPLATE_VERSION, context_of
from gapcast.contract.measured import Decoding
from gapcast.contract.probes import ProbeConfiguration, ProbeResult
from gapcast.launching import module_command
from service.probes.job import KIND
from tests.vllm.models import LAB_MODEL
from tests.vllm.server import serve
from workers.engines import folder_revision, model_folder
from workers.host.child_process import child_environment
from workers.tasks import load_task

PROBLEMS, ROLLOUTS = 256, 4
CONTEXTS: dict[str, dict[str, Any]] = {
    "hints": {"kind": "hints", "options": {"level": 3}},
    "peer_solution": {"kind": "peer_solution"},
}


def probe(engine: str, source: dict[str, Any], context: dict[str, Any], seed: int) -> ProbeResult:
    """The result of a whole job, in a child process as a worker starts it."""
    task, made = load_task("lab/addition"), context_of(context)
    configuration = ProbeConfiguration(
        model=LAB_MODEL,
        model_revision=folder_revision(model_folder(LAB_MODEL)),
        task=task.name,
        task_revision=task.revision,
        context=made,
        template_version=TEMPLATE_VERSION,
        decoding=Decoding(),
        group_size=4 if made.needs_group else None,
        engine=engine,
        problems=PROBLEMS,
        rollouts=ROLLOUTS,
        seed=seed,
        controls=["placebo"],
    )
    job = {
        "entry": KIND.entry,
        "stops_gently": KIND.stops_gently,
        "configuration": configuration.model_dump(mode="json"),
        "resources": {"source": source},
        "parent_pid": os.getpid(),
    }
    ended = subprocess.run(
        module_command("workers.child"),
        input=json.dumps(job) + "\n",
        capture_output=True,
        text=True,
        timeout=280,
        env=child_environment(),
    )
    last = json.loads(ended.stdout.splitlines()[-1])
    assert "result" in last, last
    return ProbeResult.model_validate(last["result"])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], ProbeResult]:
    """Probes by engine and context."""
    here = {"name": LAB_MODEL}
    with serve(model_folder(LAB_MODEL), tmp_path_factory.mktemp("server") / "log") as url:
        sources: dict[str, dict[str, Any]] = {
            "transformers": here,
            "vllm": here,
            "vllm-server": here | {"url": url, "served_as": "served"},
        }
        return {
            (engine, name): probe(engine, source, context, 0)
            for engine, source in sources.items()
            for name, context in CONTEXTS.items()
        }


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize(("one", "other"), list(combinations(("transformers", "vllm", "vllm-server"), 2)))
def test_gaps_agree_within_3_standard_errors(
    found: dict[tuple[str, str], ProbeResult], one: str, other: str, context: str
) -> None:
    a, b = found[one, context], found[other, context]
    assert a.engine["engine"] == one
    assert b.engine["engine"] == other
    assert a.problem_ids == b.problem_ids
    pairs = ((a.gap, b.gap), (a.controls.placebo, b.controls.placebo), (a.net_gap, b.net_gap))
    for x, y in pairs:
        error = (x.se**2 + y.se**2) ** 0.5
        assert abs(x.value - y.value) < 3 * error
        assert error < 0.05


@pytest.mark.parametrize("context", CONTEXTS)
def test_vllm_draws_the_same_in_process_and_served(found: dict[tuple[str, str], ProbeResult], context: str) -> None:
    """The same library with the same seeds: a served model's samples are those of the folder, but for rounding."""
    a, b = (found[engine, context].arms["student"].counts for engine in ("vllm", "vllm-server"))
    assert sum(x != y for x, y in zip(a, b, strict=True)) <= 0.02 * PROBLEMS


def test_the_log_ratios_agree(found: dict[tuple[str, str], ProbeResult]) -> None:
    """Other samples of 32 problems, the same model: mean log-ratios are near (equal scores are in the contract)."""
    means = [found[engine, "hints"].covariates.log_ratio.mean for engine in ("transformers", "vllm")]
    assert means[0] == pytest.approx(means[1], rel=0.5)
