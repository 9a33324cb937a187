"""`python -m workers.ranks.rank FOLDER`, started by torchrun: one of the processes that share a training run.

The first writes the lines of a job to standard output. One that fails writes why into the folder: it may be any.
"""

import json
import os
import sys
from pathlib import Path

from gapcast.atomic import write_atomically
from gapcast.contract.training import TrainingConfiguration
from service.kit.process import die_with_parent, look_for_garbage_seldom
from workers.child import emitter, last_line, own_pipe
from workers.gpu_memory import limit_gpu_memory
from workers.ranks.places import AGENT, ERROR, JOB, STOP


def main() -> None:
    """Do this rank's part."""
    look_for_garbage_seldom()
    die_with_parent(int(os.environ[AGENT]))
    write = own_pipe()
    folder = Path(sys.argv[1])
    job = json.loads((folder / JOB).read_text())

    from workers.opsd import run_training
    from workers.opsd.world import World
    from workers.resources import Resources
    from workers.watch import LawWatch

    rank = os.environ["RANK"]
    configuration = TrainingConfiguration.model_validate(job["configuration"])
    resources = Resources.read(configuration.model, job["resources"])
    limit_gpu_memory(resources.memory_gb)

    emit, stop = emitter(write if rank == "0" else lambda line: None), (folder / STOP).exists
    watch = LawWatch.read(configuration, resources.watch)
    line = last_line(lambda: run_training(configuration, resources, emit, stop, World.join(), watch))
    if "error" in line:
        # torchrun ends the ranks that are left while they may be at it
        write_atomically(folder / ERROR.replace("*", rank), json.dumps(line["error"]))
        World.leave(1)
    if rank == "0":
        write(line)
    World.leave()


if __name__ == "__main__":
    main()
