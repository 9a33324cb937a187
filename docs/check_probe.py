"""The probe against a measurement by hand, and the A/A control over many seeds.

Run `python -m docs.check_probe` in the repository's root; docs/measurements.md quotes it.
"""

import numpy as np
import torch

from service.catalog.contexts import Context, ContextKind
from tests.integration.test_probe_agrees import CONTEXTS, measure_by_hand, probe

SEEDS = 60


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    print("gap +- SE by the probe, and by transformers' generate alone, 128 problems x 8 rollouts:")
    for model in ("lab/addition-qwen3-s", "lab/addition-qwen3-m"):
        for name, given in CONTEXTS.items():
            context = Context.model_validate(given)
            found = probe(model, context, seed=11)
            value, se = measure_by_hand(model, context, found["problem_ids"], seed=11)
            ours = found["gap"]
            z = (ours["value"] - value) / (ours["se"] ** 2 + se**2) ** 0.5
            print(
                f"  {model} {name:9} {ours['value']:+.3f} +- {ours['se']:.3f}   {value:+.3f} +- {se:.3f}   z {z:+.2f}"
            )
    z = []
    for seed in range(SEEDS):
        none = probe("lab/addition-qwen3-s", Context(kind=ContextKind.none), seed)["controls"]["none"]
        z.append(none["value"] / none["se"])
    inside = [np.mean(np.abs(z) < limit) for limit in (1, 1.96)]
    spread = f"mean z {np.mean(z):+.2f}, sd {np.std(z):.2f}"
    print(f"A/A control over {SEEDS} seeds: {spread}, |z| < 1 in {inside[0]:.2f}, < 1.96 in {inside[1]:.2f}")


if __name__ == "__main__":
    main()
