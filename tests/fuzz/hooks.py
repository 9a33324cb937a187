"""What schemathesis needs to know: how our media types are written, and requests that succeed.

Rules between fields and names that exist are not in a JSON Schema, so nearly all that it makes up is refused, and
chains of requests end at their first link. Half of what it sends as valid is therefore one of ours.
"""

import copy
import json
from typing import Any

import schemathesis
from hypothesis import strategies

MODEL, TASK = {"name": "lab/addition-qwen3-s"}, "lab/addition"
ASKED = {"model": MODEL, "task": TASK, "context": {"kind": "hints", "options": {"level": 2}}}
GAP = {"value": 0.3, "se": 0.03, "student": 0.25}
TASKS = "POST /v1/tasks"
SEEDS = strategies.integers(0, 2**32 - 1)
SCORES = {f"problem-{number}": [number % 2, 1] for number in range(8)}


def _either(*bodies: Any) -> strategies.SearchStrategy[Any]:
    return strategies.sampled_from(bodies).map(copy.deepcopy)


VALID = {
    "POST /v1/predictions": _either(ASKED | {"gap": GAP}, ASKED | {"probe": {"problems": 16, "rollouts": 2}}),
    "POST /v1/probes": SEEDS.map(lambda seed: ASKED | {"probe": {"problems": 16, "rollouts": 2, "seed": seed}}),
    "POST /v1/probes/import": _either(ASKED | {"student": SCORES, "teacher": SCORES | {"problem-0": [1, 1]}}),
    "POST /v1/training_runs": SEEDS.map(lambda seed: ASKED | {"recipe": {"steps": 20}, "seeds": [seed]}),
    "POST /v1/comparisons": _either(
        {"base": ASKED | {"pool": "lab"}, "vary": {"context": [{"kind": "hints"}, {"kind": "none"}]}}
    ),
    "POST /v1/recommendations": _either(
        {
            "base": ASKED | {"pool": "lab"},
            "vary": {"context": [{"kind": "hints"}, {"kind": "none"}]},
            "budget": {"gpu_hours": 1},
        }
    ),
    "POST /v1/external_runs": _either(
        ASKED
        | {
            "recipe": {"steps": 150},
            "training": {"problems": 128},
            "gap": {"value": 0.3, "se": 0.03},
            "baseline": {"accuracy": 0.25},
            "evaluation": {"problems": 128, "rollouts": 4},
        }
    ),
    "POST /v1/external_runs/{run_id}/looks": _either({"step": 15, "value": 0.36}, {"step": 30, "value": 0.4}),
    "POST /v1/external_runs/{run_id}/end": _either({}),
    "POST /v1/pools": _either({"name": "fuzzed", "borrow": ["published"]}),
    "POST /v1/fits": _either({"pool": "lab"}),
    TASKS: strategies.text("abc", min_size=1).map(lambda text: {"prompt": f"Say {text}.", "answer": text}),
    "PUT /v1/sample_storage": _either({"store": True}),
}


@schemathesis.hook
def flatmap_case(context: Any, case: Any) -> strategies.SearchStrategy[Any]:
    name = f"{case.operation.method.upper()} {case.operation.path}"
    bodies = VALID.get(name)
    if bodies is None or not case.meta.generation.mode.is_positive:
        return strategies.just(case)

    def with_body(body: Any) -> Any:
        case.body = body
        if name == TASKS:
            case.query, case.media_type = {"name": "fuzz/said", "verifier": "exact"}, "application/x-ndjson"
        return case

    return strategies.just(case) | bodies.map(with_body)


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def ndjson(context: Any, value: Any) -> bytes:
    rows = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@schemathesis.serializer("application/vnd.apache.parquet", "text/csv")
def table(context: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
