"""A fit as the API shows it."""

from typing import Literal

from pydantic import BaseModel, Field

from service.fits import service
from service.fits.models import Fit
from service.kit.clock import rfc3339


class Coefficients(BaseModel):
    """A family's line: mean and 95 % confidence interval of slope and intercept."""

    family: str
    status: Literal["prior_only", "cold", "sparse", "fitted"]
    n: int = Field(description="observations")
    slope: float
    slope_interval: list[float]
    intercept: float
    intercept_interval: list[float]


class FitOut(BaseModel):
    """One immutable version of the law over one pool."""

    id: str
    object: Literal["fit"] = "fit"
    pool: str
    n: int
    fingerprint: str
    families: list[Coefficients]
    population: Coefficients
    created_at: str


def fit_out(fit: Fit) -> FitOut:
    """Show a stored fit."""
    law = service.law_of(fit)

    def line(family: str, n: int) -> Coefficients:
        found = law.coefficients(family)
        return Coefficients(
            family=family,
            status=law.status(family),
            n=n,
            slope=float(found.slope[0]),
            slope_interval=[float(found.slope[1]), float(found.slope[2])],
            intercept=float(found.intercept[0]),
            intercept_interval=[float(found.intercept[1]), float(found.intercept[2])],
        )

    return FitOut(
        id=fit.id,
        pool=fit.pool,
        n=fit.n,
        fingerprint=fit.fingerprint,
        families=[line(name, n) for name, n in law.families_.items()],
        population=line("", 0),
        created_at=rfc3339(fit.created_at),
    )
