"""The entry point of `gapcast`. It imports the command itself, so Ctrl-C meanwhile ends without a traceback."""

import sys


def main() -> None:
    """Run the command; exit with 130, as after any Ctrl-C, if one comes while it is imported."""
    try:
        from gapcast.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(130)  # Exit.INTERRUPTED is among what is not imported yet
    run()
