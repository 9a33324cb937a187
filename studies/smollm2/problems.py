"""The study's task: `python -m studies.smollm2.problems FILE` writes 192 problems, which anybody gets again.

Repeat the last of three words, after two examples. SmolLM2-135M copies words, but often it writes something else: it is
neither at 0 nor at 1.
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

from gapcast.contract.base import JsonObject

WORDS = (
    *("apple", "bread", "chair", "dream", "flame", "grape", "house", "island", "lemon", "mouse", "night", "ocean"),
    *("paper", "queen", "river", "stone", "table", "water", "window", "garden", "horse", "music", "cloud", "tiger"),
)
EXAMPLES = "dog sun tea: tea\nred cat box: box\n"
TRAIN, HELD_OUT = 128, 64


def problem(number: int, words: list[str]) -> JsonObject:
    """Return one line of the file."""
    first, second, last = words
    return {
        "id": f"last-{number:03}",
        "split": "train" if number < TRAIN else "held_out",
        "prompt": f"{EXAMPLES}{' '.join(words)}:",
        "answer": rf"\W*{last}\W*",
        "reference_solution": last,
        "hints": [f"Not {first}.", f"Not {second}.", f"It begins with {last[0]}."],
    }


def problems() -> Iterator[JsonObject]:
    """Make all problems; no two have the same words in the same order."""
    rng, seen = random.Random(0), set[tuple[str, ...]]()
    while len(seen) < TRAIN + HELD_OUT:
        words = rng.sample(WORDS, 3)
        if tuple(words) not in seen:
            seen.add(tuple(words))
            yield problem(len(seen) - 1, words)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m studies.smollm2.problems", description=__doc__)
    parser.add_argument("out", type=Path, metavar="FILE")
    parser.parse_args().out.write_text("".join(f"{json.dumps(row)}\n" for row in problems()))


if __name__ == "__main__":
    main()
