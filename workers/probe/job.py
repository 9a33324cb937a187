"""The entry point of a job that measures a gap."""

from gapcast.contract.probes import ProbeConfiguration, ProbeResult
from workers.probe.run import run_probe
from workers.resources import Resources
from workers.work import Work


def run(work: Work) -> ProbeResult:
    """Measure the gap.

    Raises:
        JobError: the configuration cannot be measured on this worker.
    """
    probe = ProbeConfiguration.model_validate(work.configuration)
    return run_probe(probe, Resources.read(probe.model, work.resources), work.emit)
