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
    if sys.platform.startswith("linux"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # what its name stands for need not lead to this machine
    here = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", processes, "--log-dir", f"{folder}/logs"]
    try:
        torchrun([*here, "-m", "workers.ranks.rank", folder])
    except ChildFailedError as failed:
        _, first = failed.get_first_failure()
        codes = [first.exitcode, *(failure.exitcode for failure in failed.failures.values())]
        # those that are left it ends itself, by SIGTERM: only of the first that says anything
        signals = [-code for place, code in enumerate(codes) if code < 0 and not (place and code == -signal.SIGTERM)]
        sys.exit(SIGNALLED + signals[0] if signals else 1)


if __name__ == "__main__":
    main()
