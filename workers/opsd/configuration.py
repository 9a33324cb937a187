"""What of a training run is this room's own: its seed."""

from gapcast.contract.training import TrainingConfiguration
from workers.tasks import derive_seed


def own_seed(configuration: TrainingConfiguration) -> int:
    """The seed of all that the run draws, its problems included: two runs that differ in anything share nothing."""
    return derive_seed("training", configuration.content)
