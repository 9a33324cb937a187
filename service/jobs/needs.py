"""What the jobs of a model need of a worker, and what a worker offers, by the settings."""

from collections.abc import Sequence

from gapcast.contract.needs import JobNeeds, Needs, Offer
from service.listed_models import ModelEntry
from service.settings import Settings


def needs_of(entries: Sequence[ModelEntry], model: str, asked: Needs | None, *, training: bool = False) -> JobNeeds:
    """Return the needs of a job: those of its model's entry and those that were asked for.

    Labels add up, and a memory that was asked for counts in place of the entry's. The lab's models have no entry.
    """
    entry = next((one for one in entries if one.name == model), None)
    of_model = Needs()
    if entry is not None:
        of_model = (entry.training_needs if training else None) or entry.needs
    more = asked or Needs()
    memory = of_model.memory_gb if more.memory_gb is None else more.memory_gb
    if entry is not None and entry.source == "server":
        memory = memory or 0.0  # the GPU is the server's
    return JobNeeds(
        model=entry.name if entry is not None else None,
        labels=sorted({*of_model.labels, *more.labels}),
        memory_gb=memory,
    )


def offer_of(settings: Settings) -> Offer:
    """Return what a worker with these settings offers."""
    return Offer(
        labels=sorted(settings.worker_labels),
        models=[entry.name for entry in settings.models],
        memory_gb=settings.worker_memory_gb,
    )
