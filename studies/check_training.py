"""Is the improvement linear in the gap, and do predictions made before the runs hold? Asked of the product itself.

Start `gapcast serve` and run `python -m studies.check_training`: it measures the gap of every context with probes of
their own, queues 8 contexts x 3 seeds of full training runs in the pool `study`, waits for them, fits the law to the
runs of the other contexts, and predicts each run from the probe that was measured before it. What was measured stays
on the server: a second call goes on where the first one stopped. docs/measurements.md quotes it.
"""

import argparse
import time
from typing import Any

import numpy as np

from gapcast import Client
from gapcast.client import DEFAULT_URL
from service.law import Probe
from studies.check_lab_pool import Row, fit, line, recipe_of

MODEL, TASK, POOL = "lab/addition-qwen3-s", "lab/addition", "study"
SEEDS = (0, 1, 2)
CONTEXTS: dict[str, dict[str, Any]] = {
    "1 hint": {"kind": "hints", "options": {"level": 1}},
    "solution for 25 %": {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.25}}},
    "2 hints": {"kind": "hints", "options": {"level": 2}},
    "3 hints for 60 %": {"kind": "hints", "options": {"level": 3, "corruption": {"coverage": 0.6}}},
    "solution for 50 %": {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}},
    "3 hints": {"kind": "hints", "options": {"level": 3}},
    "solution for 80 %": {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.8}}},
    "4 hints": {"kind": "hints", "options": {"level": 4}},
}
"""Graded by what they tell and by how many problems get one; what wrong ones do is in docs/measurements.md."""


def probed(client: Client) -> dict[tuple[str, int], Any]:
    """A finished probe for every context and seed; none shares a sample with a run."""
    found = {}
    for name, context in CONTEXTS.items():
        for seed in SEEDS:
            request = {"model": {"name": MODEL}, "task": TASK, "context": context, "probe": {"seed": 1000 + seed}}
            probe = client.probes.create(request, wait=60)
            while not probe.ended:
                probe = client.probes.get(probe.id, wait=60)
            found[name, seed] = probe
    return found


def trained(client: Client) -> dict[tuple[str, int], Any]:
    """A finished run for every context and seed."""
    known = {
        (run.configuration.context.kind, str(run.configuration.context.options), run.seed): run
        for run in client.training_runs.list()
        if run.pool == POOL and run.status in {"queued", "running", "succeeded"}
    }
    found = {}
    for name, context in CONTEXTS.items():
        for seed in SEEDS:
            body = {"model": {"name": MODEL}, "task": TASK, "context": context, "pool": POOL, "seeds": [seed]}
            same = [
                run
                for (kind, options, its), run in known.items()
                if kind == context["kind"] and its == seed and _asks(run.configuration.context.options, context)
            ]
            run = same[0] if same else client.training_runs.create(body | {"training": {"export": "none"}})
            found[name, seed] = run
    for name, seed in found:
        while not found[name, seed].ended:
            found[name, seed] = client.training_runs.get(found[name, seed].id, wait=60)
        print(f"  {name}, seed {seed}: {found[name, seed].status} {found[name, seed].error or ''}", flush=True)
    return found


def _asks(stored: dict[str, Any], context: dict[str, Any]) -> bool:
    """Whether the stored options, defaults filled in, are those of the context."""
    options = context["options"]
    coverage = options.get("corruption", {}).get("coverage", 1.0)
    return bool(stored.get("level") == options.get("level") and stored["corruption"]["coverage"] == coverage)


def row_of(name: str, seed: int, run: Any, rows: dict[str, Row]) -> Row:
    """The run's observation, as the law's functions read it."""
    stored = rows[run.id]
    return {
        "external_id": run.id,
        "context": name,
        "seed": seed,
        "gap": {"value": stored["gap"]["value"], "se": stored["gap"]["se"]},
        "improvement": {"value": stored["improvement"]["value"], "se": stored["improvement"]["se"]},
        "cov": stored["cov"],
        "family": stored["family"],
        "cell": stored["cell"],
        "baseline": stored["baseline"],
        "collapsed": stored["collapsed"],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=DEFAULT_URL)
    url = parser.parse_args().url
    began = time.monotonic()
    with Client(url) as client:
        probes = probed(client)
        runs = trained(client)
        stored = {row.external_id: row.model_dump(mode="json") for row in client.observations.list(pool=POOL)}
    rows = [row_of(name, seed, run, stored) for (name, seed), run in runs.items()]
    print("context, seed: gap of the probe -> predicted improvement [95 %], measured gap and improvement of the run")
    covered = 0
    for row in rows:
        law = fit([other for other in rows if other["context"] != row["context"]])
        gap = probes[row["context"], row["seed"]].result.gap
        probe = Probe(
            gap=gap.value,
            gap_var=gap.se**2,
            family=row["family"],
            cell=row["cell"],
            baseline=gap.student,
            teacher=recipe_of(row).teacher,
            divergence=recipe_of(row).divergence,
            improvement_var=row["improvement"]["se"] ** 2,
        )
        out, gained = law.predict_improvement(probe), row["improvement"]
        lower, upper = (float(end) for end in out.interval(0.95))
        inside = lower <= gained["value"] <= upper
        covered += inside
        print(
            f"| {row['context']} | {row['seed']} | {gap.value:+.3f} ± {gap.se:.3f} | {float(out.mean):+.3f} "
            f"[{lower:+.3f}, {upper:+.3f}] | {row['gap']['value']:+.3f} | {gained['value']:+.3f} ± {gained['se']:.3f} "
            f"| {'yes' if inside else '**no**'} |"
        )
    x = np.array([row["gap"]["value"] for row in rows])
    print(f"covered at 95 %: {covered} of {len(rows)}; gaps sorted: {np.round(np.sort(x), 2).tolist()}")
    print(f"ordinary least squares: {line(rows)}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
