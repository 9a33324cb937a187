"""`python -m service serve | migrate`: the API process, started by `gapcast serve` among others."""

import argparse
import os
import signal
import sys

from service.kit.process import die_with_parent, look_for_garbage_seldom


def main() -> None:
    """Read the command line."""
    look_for_garbage_seldom()
    # before the imports below, which take seconds: Ctrl-C in them shows no traceback either. uvicorn raises the signal
    # again when it has shut down; as an exit it passes the `finally` that stops the worker.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    parser = argparse.ArgumentParser(prog="python -m service", description="The Gapcast API process.")
    parser.add_argument("command", choices=["serve", "migrate"], help="serve the API, or only migrate the database")
    arguments = parser.parse_args()
    parent = os.environ.pop("GAPCAST_PARENT_PID", None)
    if parent is not None:
        die_with_parent(int(parent))

    from service.loading import load
    from service.serving import migrate_or_refuse, serve

    settings = load()
    if arguments.command == "migrate":
        migrate_or_refuse(settings)
    else:
        serve(settings)


if __name__ == "__main__":
    main()
