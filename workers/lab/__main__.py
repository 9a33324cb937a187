"""`python -m workers.lab`: the lab's tiny models and the observations that come with them."""

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """Runs `build` or `measure`."""
    parser = argparse.ArgumentParser(
        prog="python -m workers.lab",
        description="The lab: tiny language models and a task to try Gapcast on, without a download and without a GPU.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "build",
        help="train the lab's models that are missing (minutes on one core)",
        description="Trains the lab's models from scratch, seeded, on one core. A model whose folder under "
        "workers/lab/models exists is skipped: delete the folder to train it again.",
    )
    measure = commands.add_parser(
        "measure",
        help="run OPSD on the lab's models and record gap and improvement (minutes on one core)",
        description="Runs the list of training runs in workers/lab/measure.py and writes one observation for each. "
        "A run that the file already holds is skipped, so an interrupted measurement goes on where it stopped.",
    )
    measure.add_argument("--out", type=Path, required=True, help="JSON file of observations, written after every run")
    chosen = parser.parse_args(arguments)

    def report(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    # torch is imported after the arguments are read, so that --help answers at once.
    if chosen.command == "build":
        from workers.lab.build import build

        build(report)
    else:
        from workers.lab.measure import measure_pool

        measure_pool(chosen.out, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
