"""What a job needs of the worker that runs it, and what a worker offers."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from gapcast.contract.base import Finite, Strict
from gapcast.contract.labels import TAG_PATTERN

MOST_LABELS = 16
"""of a job or a worker: one for each kind of machine that a team has"""

Label = Annotated[str, Field(pattern=TAG_PATTERN)]
Gigabytes = Annotated[float, Field(gt=0, le=100_000)]


class Needs(Strict):
    """What a job needs of its worker."""

    labels: list[Label] = Field(
        default_factory=list, max_length=MOST_LABELS, description="labels that the worker must have, such as `gpu`"
    )
    memory_gb: Gigabytes | None = Field(
        None,
        description="GB of a GPU's memory that the job may take; null: not known, so it runs alone on a worker that "
        "counts memory",
    )


class JobNeeds(Finite):
    """What a job needs of its worker, with what follows from its model."""

    model: str | None = Field(None, description="a model of the settings that the worker must have; null: none")
    labels: list[str] = Field(default_factory=list, description="labels that the worker must have")
    memory_gb: float | None = Field(
        None, description="GB of a GPU's memory; 0: none; null: not known, so it runs alone where memory is counted"
    )

    @classmethod
    def together(cls, several: Iterable["JobNeeds"]) -> "JobNeeds":
        """Return the needs of one job that does the work of several with one model."""
        all_of = list(several)
        known = [one.memory_gb for one in all_of if one.memory_gb is not None]
        return cls(
            model=all_of[0].model,
            labels=sorted({label for one in all_of for label in one.labels}),
            memory_gb=max(known) if len(known) == len(all_of) else None,
        )

    @property
    def text(self) -> str:
        """The same as a text; equal needs have equal texts."""
        return self.model_dump_json(exclude_defaults=True)


class Offer(Finite):
    """What a worker has for jobs."""

    labels: list[str] = Field(default_factory=list, description="what its operator calls it, such as `gpu`")
    models: list[str] = Field(default_factory=list, description="models of its settings; every worker has the lab's")
    memory_gb: float | None = Field(
        None, description="GB of a GPU's memory that its jobs share; null: it does not count memory"
    )

    def takes(self, needs: JobNeeds) -> bool:
        """Return True if the worker has all that a job needs, and room for it when nothing else runs."""
        return (
            (needs.model is None or needs.model in self.models)
            and set(needs.labels) <= set(self.labels)
            and self.share_of(needs) <= (self.memory_gb or 0.0)
        )

    def share_of(self, needs: JobNeeds) -> float:
        """Return the GB that a job takes here: all of them where nobody knows, nothing where nobody counts."""
        if self.memory_gb is None:
            return 0.0
        return self.memory_gb if needs.memory_gb is None else needs.memory_gb
