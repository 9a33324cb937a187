"""The entry point of a job that measures a gap."""

from gapcast.contract.probes import ProbeConfiguration, ProbeResult
from workers.gpu_memory import limit_gpu_memory
from workers.probe.run import run_probe
from workers.resources import Resources
from workers.work import Work


def run(work: Work) -> ProbeResult:
    """Measure the gap.

    Raises:
        JobError: the configuration cannot be measured on this worker.
    """
    probe = ProbeConfiguration.model_validate(work.configuration)
    resources = Resources.read(probe.model, work.resources)
    limit_gpu_memory(resources.memory_gb)
    return run_probe(probe, resources, work.emit)
