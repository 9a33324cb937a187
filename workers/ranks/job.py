"""The entry point of a job that trains, in one process or in several.

It stands here and not in `workers.opsd`, which loads torch: a process that only starts others needs none.
"""

from gapcast.contract.training import TrainingConfiguration
from gapcast.contract.training_results import TrainingResult
from workers.gpu_memory import limit_gpu_memory
from workers.ranks.launch import run_on_ranks
from workers.resources import Resources
from workers.work import Work


def run(work: Work) -> TrainingResult:
    """Train.

    Raises:
        JobError: the configuration cannot be trained on this worker.
        Paused: it was asked to stop and has written a checkpoint.
        RankDied: one of several processes ended and did not say why.
    """
    training = TrainingConfiguration.model_validate(work.configuration)
    resources = Resources.read(training.model, work.resources)
    if training.options.processes > 1:
        return run_on_ranks(training, resources, work.write, work.stop)
    limit_gpu_memory(resources.memory_gb)
    from workers.opsd import run_training
    from workers.watch import LawWatch

    watch = LawWatch.read(training, resources.watch)
    return run_training(training, resources, work.emit, work.stop, watch=watch)
