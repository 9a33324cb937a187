"""`python -m workers`: one worker process, started by `gapcast worker` or as the embedded worker of `gapcast serve`."""

import os
import signal
import sys

from service.kit.process import PARENT, die_with_parent, hide_environment, look_for_garbage_seldom


def main() -> None:
    """Run until told to stop."""
    look_for_garbage_seldom()
    # before the import below, which takes seconds: Ctrl-C in it shows no traceback either
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    parent = os.environ.pop(PARENT, None)
    if parent is not None:
        die_with_parent(int(parent))
    hide_environment()

    from workers.host.working import work

    work(embedded=parent is not None)


if __name__ == "__main__":
    main()
