"""The entry point of `gapcast`. It imports the command itself, so Ctrl-C meanwhile ends without a traceback."""

import sys

from gapcast.launching import become, has_worker_extra


def main() -> None:
    """Run the command; exit with 130, as after any Ctrl-C, if one comes while it is imported.

    `gapcast serve` and `gapcast worker` without options become their processes at once: the other commands would take
    most of a second to import.
    """
    try:
        if sys.argv[1:] == ["serve"]:
            become("service", "serve")
        if sys.argv[1:] == ["worker"] and has_worker_extra():
            become("workers")
        from gapcast.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)  # Exit.INTERRUPTED is among what is not imported yet
    run()
