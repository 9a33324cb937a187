"""The entry point of a job that measures for a comparison."""

from gapcast.contract.comparison_jobs import ComparisonConfiguration, PartResult
from workers.comparison.race import Race
from workers.gpu_memory import limit_gpu_memory
from workers.resources import Resources
from workers.work import Work


def run(work: Work) -> PartResult:
    """Measure and decide round by round.

    Raises:
        JobError: a configuration cannot be measured on this worker.
    """
    configuration = ComparisonConfiguration.model_validate(work.configuration)
    resources = Resources.read(configuration.model, work.resources)
    limit_gpu_memory(resources.memory_gb)
    return Race(configuration, resources, work.emit).run()
