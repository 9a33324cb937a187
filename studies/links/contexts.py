"""The study's runs, left out by context, baseline and seed: the law without contexts, with them, with dilution.

Run `python -m studies.links.contexts`: it prints the table of docs/measurements.md. A pool is a world under a teacher
rule. A context that is left out goes for all models, divergences and seeds of its pool; `baseline` leaves one student
accuracy out, `seed` one seed of every configuration. Runs that collapsed are fitted and not scored. The gap's spread is
that of the separate probes (256 problems x 8 rollouts), shared by all seeds.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from service.law import GapLaw, Observations, Probe, predicting
from service.law.paired import measured_components, within_variance

FOLDER = Path(__file__).parent
RUNS, PROBES = FOLDER / "runs.jsonl", FOLDER / "probes.jsonl"
Row = dict[str, Any]
Array = np.ndarray

HIGHER = ("lab/addition-qwen3-s50", "lab/addition-qwen3-m50", "lab/cipher-qwen3-s")
"""The models that begin with the higher accuracy of their world."""
LEFT_OUT: dict[str, Callable[[Row], object]] = {
    "context": lambda row: row["context"],
    "baseline": lambda row: row["model"] in HIGHER,
    "seed": lambda row: row["seed"],
}
LAWS = {"before": "no contexts", "contexts": "contexts", "dilution": "contexts and dilution"}
PENALTY = 2 / 0.05
"""of the interval score at .95, for each point outside"""


class Scored(NamedTuple):
    """Runs that were left out, against their predictions: each (N,), accuracies as shares."""

    inside_80: Array
    inside_95: Array
    width: Array
    error: Array
    interval_score: Array

    @property
    def figures(self) -> tuple[float, float, float, float, float]:
        """Coverage at 80 and 95 %, mean width, mean absolute error, mean interval score."""
        inside_80, inside_95, width, error, score = (float(np.mean(part)) for part in self)
        return inside_80, inside_95, width, error, score

    @classmethod
    def joined(cls, parts: Sequence["Scored"]) -> "Scored":
        """Put runs of several pools together."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def runs() -> list[Row]:
    """Stored runs, with the spread of their gap over problems."""
    spreads = {}
    for line in PROBES.read_text().splitlines():
        probe = json.loads(line)
        rollouts = probe["gap"]["rollouts"]
        student, teacher = (np.array(probe["counts"][arm]) / rollouts for arm in ("student", "context"))
        within = [within_variance(arm, rollouts) or 0.0 for arm in (student, teacher)]
        spreads[probe["model"], probe["context"]] = measured_components(teacher - student, *within, rollouts).sigma_d2
    rows = [json.loads(line) for line in RUNS.read_text().splitlines()]
    return [{**row, "gap_spread": spreads[row["model"], row["context"]]} for row in rows]


def pools(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Runs by world and teacher."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        world = "addition" if "addition" in row["model"] else "cipher"
        found.setdefault(f"{world} {row['teacher']}", []).append(row)
    return found


def about(rows: Sequence[Row], law: str) -> dict[str, Any]:
    """What a law is told of runs and of probes alike."""
    names = ["family", "cell", "teacher", "divergence", "baseline", "cov"]
    names += ["context", "model"] if law != "before" else []
    names += ["gap_spread"] if law == "dilution" else []
    return {
        "gap": np.array([row["gap"]["value"] for row in rows]),
        "gap_var": np.array([row["gap"]["se"] for row in rows]) ** 2,
        "improvement_var": np.array([row["improvement"]["se"] for row in rows]) ** 2,
        **{name: [row[name] for row in rows] for name in names},
    }


def improvements(rows: Sequence[Row]) -> Array:
    """Measured improvement of every run."""
    return np.array([row["improvement"]["value"] for row in rows])


def fitted(rows: Sequence[Row], law: str) -> GapLaw:
    """The law of these runs."""
    collapsed = [row["collapsed"] for row in rows]
    observations = Observations(**about(rows, law), improvement=improvements(rows), collapsed=collapsed)
    return GapLaw(dilution=law == "dilution").fit(observations)


def scored(pool: Sequence[Row], left_out: str, law: str) -> Scored:
    """Predict each run of a pool by the law of those that are not of its group."""
    group, parts = LEFT_OUT[left_out], []
    for name in sorted({str(group(row)) for row in pool}):
        asked = [row for row in pool if str(group(row)) == name and not row["collapsed"]]
        if not asked:
            continue
        one = fitted([row for row in pool if str(group(row)) != name], law)
        mixture = predicting.mixture(one.state_, Probe(**about(asked, law)))
        came = improvements(asked)
        (low, high), (lowest, highest) = mixture.interval(0.8), mixture.interval(0.95)
        outside = np.maximum(lowest - came, 0) + np.maximum(came - highest, 0)
        width = highest - lowest
        inside = (low <= came) & (came <= high), (lowest <= came) & (came <= highest)
        parts.append(Scored(*inside, width, np.abs(came - mixture.centre), width + PENALTY * outside))
    return Scored.joined(parts)


def main() -> None:
    """Print the table."""
    print("| left out | runs | law | 80 % | 95 % | width | MAE | interval score |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    of_pools = pools(runs())
    for left_out in LEFT_OUT:
        for law, name in LAWS.items():
            each = {pool: scored(rows, left_out, law) for pool, rows in of_pools.items()}
            for pool, found in {**each, "all": Scored.joined(list(each.values()))}.items():
                in_80, in_95, width, error, score = found.figures
                print(
                    f"| {left_out} | {len(found.width)} of {pool} | {name} "
                    f"| {in_80:.2f} | {in_95:.2f} | {width:.3f} | {error:.3f} | {score:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
