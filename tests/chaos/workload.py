"""What the clients of a storm ask for: the smallest jobs of every kind, each unlike the others, and rows."""

import json
import random
import threading
import time

from tests.chaos.recorder import Ask, Body, Clients

LAB: Body = {
    "model": {"name": "lab/addition-qwen3-s"},
    "task": "lab/addition",
    "context": {"kind": "hints", "options": {"level": 3}},
}
KINDS = {"prediction": 4, "probe": 2, "run": 4, "check": 4, "import": 4, "comparison": 1}
"""how often each is asked for"""
PATIENCE = 600.0
"""seconds for which a client repeats an unanswered post"""


class Workload:
    """Keeps some jobs open until it is told to stop."""

    def __init__(self, clients: Clients, seed: int, most_open: int) -> None:
        self.clients, self._rng, self._most_open = clients, random.Random(seed), most_open
        self._lock, self._stop, self._made = threading.Lock(), threading.Event(), 0
        threads = [threading.Thread(target=self._keep_asking, daemon=True) for _ in range(2)]
        self._threads = [*threads, threading.Thread(target=self._keep_watching, daemon=True)]
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def ends(self, until: float) -> bool:
        """Ask for no more, and wait for what is open; False if that takes too long."""
        self._stop.set()
        for thread in self._threads[:-1]:
            thread.join()
        asks = self.clients.history.asks
        while any(ask.open for ask in asks) and time.monotonic() < until:
            time.sleep(0.3)
        self._ended.set()
        self._threads[-1].join()
        return not any(ask.open for ask in asks)

    def next(self, kind: str | None = None, steps: int | None = None) -> Ask:
        """Make something up that was not asked for yet; `steps` are those of a training run."""
        with self._lock:
            self._made += 1
            number = self._made
            kind = kind or self._rng.choices(list(KINDS), list(KINDS.values()))[0]
            steps = steps or self._rng.randint(1, 2)
            key = f"storm-{number}-{self._rng.getrandbits(64):x}"
        if kind == "prediction":
            return Ask(kind, "/v1/predictions", key, LAB | {"probe": {"problems": 8, "rollouts": 1, "seed": number}})
        if kind == "probe":
            return Ask(kind, "/v1/probes", key, LAB | {"probe": {"problems": 8, "rollouts": 2, "seed": number}})
        if kind == "comparison":
            vary = {"context": [{"kind": "feedback"}, LAB["context"]]}
            base = {name: LAB[name] for name in ("model", "task")} | {"probe": {"seed": number, "rollouts": 1}}
            return Ask(kind, "/v1/comparisons", key, {"base": base, "vary": vary, "budget": {"rollouts": 300}})
        if kind == "run":
            return Ask(kind, "/v1/training_runs", key, LAB | run(number, steps))
        if kind == "check":
            rows = [{"prompt": f"{n}+1=", "answer": str(n + 1), "reference_solution": f"{n + 1}"} for n in range(3)]
            rows[0]["prompt"] = f"storm {number}: 0+1="
            content = "".join(json.dumps(row) + "\n" for row in rows).encode()
            return Ask(kind, f"/v1/tasks?name=storm/t{number}&verifier=numeric", key, content=content)
        return Ask("import", "/v1/observations", key, {"observations": [row(number), row(number + 500_000)]})

    def _keep_asking(self) -> None:
        while not self._stop.is_set():
            if sum(ask.open for ask in self.clients.history.asks) >= self._most_open:
                time.sleep(0.1)
                continue
            self.clients.ask(self.next(), time.monotonic() + PATIENCE)

    def _keep_watching(self) -> None:
        while not self._ended.wait(0.5):
            self.clients.watch(list(self.clients.history.asks))


def run(number: int, steps: int) -> Body:
    """Return the rest of a training run's configuration."""
    training = {"problems": 8, "held_out_problems": 4, "checkpoint_every": max(1, steps // 4), "evaluate_every": steps}
    recipe = {"steps": steps, "problems_per_step": 4, "group_size": 2}
    return {"recipe": recipe, "probe": {"rollouts": 2}, "training": training, "seeds": [number]}


def row(number: int) -> Body:
    """Return an observation without an external id: only the key of its post keeps it from being stored twice."""
    gap = 0.1 + (number % 97) / 400
    return {
        "family": f"storm-{number % 5}",
        "task": "sums",
        "model": f"m{number}",
        "context_kind": "hints",
        "baseline": 0.3,
        "gap": {"value": gap, "se": 0.02},
        "improvement": {"value": gap * 0.9 + number * 1e-7, "se": 0.02},
    }
