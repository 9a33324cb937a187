"""Comparisons whose configurations are all trained: the regret of the chosen one, and of the one with the largest gap.

`gapcast serve` runs beside it, with a data folder of its own: `python -m studies.comparisons.live http://127.0.0.1:8480`.
Three comparisons of six contexts each take about twenty minutes on two cores; outcomes go to `live.jsonl` as they come,
and what is there is not trained again. Without an address only the table is printed.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

OUTCOMES = Path(__file__).with_name("live.jsonl")
Body = dict[str, Any]

CONTEXTS: list[Body] = [
    {"kind": "hints"},
    {"kind": "hints", "options": {"level": 3}},
    {"kind": "feedback"},
    {"kind": "peer_solution"},
    {"kind": "reference_solution", "options": {"corruption": {"coverage": 0.5}}},
    {"kind": "reference_solution", "options": {"corruption": {"rate": 0.5}}},
]
COMPARED: dict[str, Body] = {
    "addition, frozen teacher": {"model": "lab/addition-qwen3-s", "task": "lab/addition"},
    "addition, EMA teacher": {
        "model": "lab/addition-qwen3-s50",
        "task": "lab/addition",
        "recipe": {"teacher": "ema", "divergence": "reverse_kl"},
    },
    "cipher, frozen teacher": {"model": "lab/cipher-qwen3-s", "task": "lab/cipher"},
}
ENDED = {"succeeded", "failed", "cancelled", "dead"}


def wait(server: httpx2.Client, path: str) -> Body:
    """Read something until it has ended."""
    while True:
        found: Body = server.get(path).raise_for_status().json()
        if found["status"] in ENDED:
            return found
        time.sleep(1)


def run(server: httpx2.Client, name: str, base: Body) -> Body:
    """Compare, and train every configuration."""
    body = {"base": base, "vary": {"context": CONTEXTS}, "name": name}
    made = server.post("/v1/comparisons", json=body).raise_for_status().json()
    compared = wait(server, f"/v1/comparisons/{made['id']}")
    if compared["winner"] is None:
        raise SystemExit(f"{name}: {compared['error']}")
    rows = []
    for one in sorted(compared["configurations"], key=lambda one: one["place"]):
        asked = {"prediction_id": one["prediction_id"], "seeds": [0]}
        trained = server.post("/v1/training_runs", json=asked).raise_for_status().json()
        ended = wait(server, f"/v1/training_runs/{trained['id']}")
        improvement = ended["improvement"]
        rows.append(
            {
                "name": one["name"],
                "gap": one["answer"]["gap"]["value"],
                "predicted": one["answer"]["improvement"]["value"],
                "p_best": one["standing"]["p_best"],
                "problems": one["standing"]["problems"],
                "improvement": improvement["value"] if improvement else None,
                "se": improvement["se"] if improvement else None,
                "collapsed": ended["collapsed"],
            }
        )
        print(f"{name}: {rows[-1]}", flush=True)
    return {
        "comparison": name,
        "winner": compared["winner"]["place"],
        "stopped_by": compared["stopped_by"],
        "spent": compared["spent"],
        "configurations": rows,
    }


def table(outcomes: list[Body]) -> None:
    """Print the regrets in accuracy points."""
    for one in outcomes:
        rows = one["configurations"]
        gained = [row["improvement"] for row in rows]
        largest = max(range(len(rows)), key=lambda place: rows[place]["gap"])
        best, chosen = max(gained), gained[one["winner"]]
        print(
            f"{one['comparison']}: chosen {rows[one['winner']]['name']} {100 * chosen:+.1f}, regret "
            f"{100 * (best - chosen):.1f}; largest gap {rows[largest]['name']} {100 * gained[largest]:+.1f}, regret "
            f"{100 * (best - gained[largest]):.1f}; best {rows[gained.index(best)]['name']} {100 * best:+.1f} points; "
            f"{one['spent']['rollouts']} rollouts of {one['spent']['equal_split']}, {one['stopped_by']}"
        )


def main() -> None:
    """Train what is missing, and print the table."""
    known = [json.loads(line) for line in OUTCOMES.read_text().splitlines()] if OUTCOMES.exists() else []
    if len(sys.argv) > 1:
        with httpx2.Client(base_url=sys.argv[1], timeout=60) as server:
            for name, base in COMPARED.items():
                if not any(one["comparison"] == name for one in known):
                    known.append(run(server, name, base))
                    with OUTCOMES.open("a") as file:
                        file.write(json.dumps(known[-1]) + "\n")
    table(known)


if __name__ == "__main__":
    main()
