"""`python -m workers.ranks.torchrun PARENT PROCESSES FOLDER`: torchrun that dies with its parent.

Its ranks die with it: it starts them in sessions of their own, so the end of a job's process group would not be theirs.
"""

import os
import signal
import sys

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun

from service.kit.process import die_with_parent
from workers.ranks.places import AGENT, SIGNALLED


def main() -> None:
    """Run the ranks of one job."""
    parent, processes, folder = sys.argv[1:]
    die_with_parent(int(parent))
    os.environ[AGENT] = str(os.getpid())
    here = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", processes, "--log-dir", f"{folder}/logs"]
    try:
        torchrun([*here, "-m", "workers.ranks.rank", folder])
    except ChildFailedError as failed:
        # those that are left it ends itself, by SIGTERM
        ended = {-failure.exitcode for failure in failed.failures.values()} - {signal.SIGTERM}
        sys.exit(max([1, *(SIGNALLED + number for number in ended if number > 0)]))


if __name__ == "__main__":
    main()
