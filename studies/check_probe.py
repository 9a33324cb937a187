"""The probe against a measurement by hand, the A/A control over many seeds, the trap, and sequential probes.

Run `python -m studies.check_probe` in the repository's root; docs/measurements.md quotes it.
"""

import numpy as np
import torch
from scipy import stats

from gapcast.contract.contexts import context_of
from service.scores import estimate
from tests.acceptance.probe.test_sequential import POPULATION, population
from tests.integration.test_probe_agrees import CONTEXTS, measure_by_hand, probe
from workers.engines import Sampling, model_folder
from workers.engines.transformers import TransformersEngine
from workers.sampling.arms import Draw, Sampler, arm_of
from workers.sampling.drawn import draw_problems
from workers.sampling.schedule import portions
from workers.tasks import load_task

SEEDS = 200
PROBES, PROBLEMS = 2000, 800
GUARDS = {"2/P": lambda count: 2 / count, "1/P^2": lambda count: count**-2.0}
CASES = [
    (0.03, 0.0, 1),
    (0.03, 0.05, 1),
    (0.03, 0.1, 1),
    (0.03, 0.05, 20),
    (0.25, 0.1, 1),
    (0.8, 0.15, 2),
    (0.5, 0.2, 0.7),
]
"""student accuracy, gap, and how much problems are alike"""


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    print("gap +- SE by the probe, and by transformers' generate alone, 128 problems x 8 rollouts:")
    for model in ("lab/addition-qwen3-s", "lab/addition-qwen3-m"):
        for name, given in CONTEXTS.items():
            context = context_of(given)
            found = probe(model, context, seed=11)
            value, se = measure_by_hand(model, context, found.problem_ids or [], seed=11)
            ours = found.gap
            z = (ours.value - value) / (ours.se**2 + se**2) ** 0.5
            print(
                f"  {model} {name:9} {ours['value']:+.3f} +- {ours['se']:.3f}   {value:+.3f} +- {se:.3f}   z {z:+.2f}"
            )
    z = []
    for seed in range(SEEDS):
        none = probe("lab/addition-qwen3-s", context_of({"kind": "none"}), seed).controls.none
        if none is not None:  # it is always run
            z.append(none.value / none.se)
    inside = [np.mean(np.abs(z) < limit) for limit in (1, 1.96)]
    spread = f"mean z {np.mean(z):+.2f}, sd {np.std(z):.2f}"
    print(f"A/A control over {SEEDS} seeds: {spread}, |z| < 1 in {inside[0]:.3f}, < 1.96 in {inside[1]:.3f}")
    trap()
    for rollouts in (1, 4):
        for case in CASES:
            sequential(*case, rollouts=rollouts)


def trap() -> None:
    """Successes kept, failures drawn again from the same prompt: a gap without information."""
    task = load_task("lab/addition")
    sampler = Sampler(TransformersEngine.load(model_folder("lab/addition-qwen3-s")), task, Sampling(1.0, 1.0, 16), 0)
    problems = draw_problems(task, 512, 0)
    rows = sampler.draw([Draw.plain(arm, problems, 4) for arm in ("student", "none")])
    first, second = (arm_of("", table).scores for table in rows)
    made, honest = (estimate(scores, first) for scores in (np.where(first == 1, first, second), second))
    repaired = second[first < 1].mean()
    print(f"failures only, no context: gap {made.value:+.3f} +- {made.se:.3f}, repairs {repaired:.3f} of the failures")
    print(f"fresh samples, no context: gap {honest.value:+.3f} +- {honest.se:.3f}")


def sequential(baseline: float, gap: float, spread: float, rollouts: int) -> None:
    """Coverage of the 95 % interval, and mean problems, for probes that stop at standard errors of .08, .04 and .02."""
    student, teacher = population(baseline, gap, spread)
    truth = float((teacher - student).mean())
    told = [f"student {baseline} gap {truth:.2f} spread {spread} rollouts {rollouts}"]
    for target in (0.08, 0.04, 0.02):
        for name, guard in GUARDS.items():
            rng = np.random.default_rng(1)
            covered, used = [], []
            for _ in range(PROBES):
                chosen = rng.integers(0, POPULATION, PROBLEMS)
                d = (rng.binomial(rollouts, teacher[chosen]) - rng.binomial(rollouts, student[chosen])) / rollouts
                sums, squares = np.cumsum(d), np.cumsum(d * d)
                for _start, end in portions(PROBLEMS, True, 0):
                    mean = sums[end - 1] / end
                    variance = (squares[end - 1] - end * mean**2) / (end - 1)
                    se = (max(variance + guard(end), 1e-4) / end) ** 0.5
                    if se <= target:
                        break
                covered.append(abs(mean - truth) <= stats.t.ppf(0.975, end - 1) * se)
                used.append(end)
            told.append(f"{target} {name}: {np.mean(covered):.3f} ({np.mean(used):.0f})")
    print("  ".join(told), flush=True)


if __name__ == "__main__":
    main()
