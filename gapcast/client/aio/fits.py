"""`client.fits`: versions of the law, and what can be asked of each."""

from collections.abc import Mapping, Sequence
from typing import Any

from gapcast.client.aio.page import AsyncPage
from gapcast.client.aio.resource import Resource
from gapcast.client.fields import Order
from gapcast.client.reading import Kind
from gapcast.client.requests import MOST_A_PAGE, segment
from gapcast.models import Calibration, ContextEffects, CurrentFit, Curve, Fit, FitSummary, Residuals, Scaling

ALL = "/v1/fits"


class Fits(Resource):
    """Versions of the law: `/v1/fits`."""

    async def create(self, pool: str = "default") -> Fit:
        """Fit a pool now; where nothing has changed since the newest fit, this is the newest fit."""
        return await self._connection.act(Fit, "POST", ALL, {"pool": pool})

    async def current(self, pool: str = "default") -> CurrentFit:
        """Read the newest law of a pool; in a pool of at most 5,000 observations it knows every one of them."""
        return await self._connection.get(CurrentFit, f"{ALL}/current", {"pool": pool})

    async def get(self, fit_id: str) -> Fit:
        """Read one version of the law; it never changes."""
        return await self._connection.get(Fit, _path(fit_id))

    async def list(
        self,
        *,
        limit: int = MOST_A_PAGE,
        after: str | None = None,
        order: Order = "desc",
        pool: str | None = None,
        id_prefix: str | None = None,
    ) -> AsyncPage[FitSummary]:
        """List versions of the law, newest first; iterate over the page to read all.

        Args:
            limit: how many on a page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
            pool: of this pool alone.
            id_prefix: how the id begins.
        """
        query = {"pool": pool, "id_prefix": id_prefix, "limit": limit, "after": after, "order": order}
        return await self._connection.page(FitSummary, ALL, query)

    async def residuals(
        self,
        fit_id: str,
        *,
        family: str | None = None,
        outliers: bool = False,
        unusual: bool = False,
        limit: int = 20,
        after: str | None = None,
        order: Order = "desc",
    ) -> Residuals:
        """Read one page of observations, each against what the others predict for it, newest first.

        Args:
            fit_id: the version of the law.
            family: of this family alone.
            outliers: True for runs alone that probably do not belong.
            unusual: True for runs alone that are far off the law, outliers among them.
            limit: how many on the page, at most 100.
            after: the id after which the page begins.
            order: by time of creation.
        """
        query: dict[str, Any] = {"family": family, "outliers": outliers, "unusual": unusual}
        query |= {"limit": limit, "after": after, "order": order}
        return await self._of(Residuals, fit_id, "residuals", query)

    async def curve(
        self,
        fit_id: str,
        family: str,
        *,
        cell: str | None = None,
        teacher: str | None = None,
        divergence: str | None = None,
        baseline: float | None = None,
        level: float = 0.95,
        first: float = -0.05,
        last: float = 0.5,
        points: int = 60,
        measurement_se: float | None = None,
    ) -> Curve:
        """Read a family's curve with its confidence band and the prediction band around it, to draw them.

        Args:
            fit_id: the version of the law.
            family: the model family.
            cell: one of the fit's `cells`; None: the family's own curve.
            teacher: `frozen`, `ema`, `trust_region` or `live`, where no cell is named; None: that of most of the
                family's runs.
            divergence: `forward_kl`, `reverse_kl` or `js`, with `teacher`; None: unknown.
            baseline: student accuracy that it is drawn for; None: the median of the family's runs.
            level: of both bands.
            first: smallest true gap, a share.
            last: largest true gap, a share.
            points: how many gaps in between, both ends counted.
            measurement_se: noise of the improvement that the prediction band is for; None: the pool's median, 0: none.
        """
        runs = {"family": family, "cell": cell, "teacher": teacher, "divergence": divergence, "baseline": baseline}
        band = {"level": level, "first": first, "last": last, "points": points, "measurement_se": measurement_se}
        return await self._of(Curve, fit_id, "curve", runs | band)

    async def contexts(self, fit_id: str) -> ContextEffects:
        """Read how much contexts of one gap differ, and the effect of each context with stored runs."""
        return await self._of(ContextEffects, fit_id, "contexts", {})

    async def scaling(self, fit_id: str) -> Scaling:
        """Read the slope by model size within each family and recipe, and whether the sizes share one."""
        return await self._of(Scaling, fit_id, "scaling", {})

    async def calibration(self, fit_id: str, levels: Sequence[float] | None = None) -> Calibration:
        """Read how the predictions turned out whose outcomes this fit knows.

        Args:
            fit_id: the version of the law.
            levels: of the intervals; None: 0.5, 0.8 and 0.95.
        """
        return await self._of(Calibration, fit_id, "calibration", {"level": levels and [*levels]})

    async def _of(self, kind: type[Kind], fit_id: str, what: str, query: Mapping[str, Any]) -> Kind:
        return await self._connection.get(kind, f"{_path(fit_id)}/{what}", query)


def _path(fit_id: str) -> str:
    return f"{ALL}/{segment(fit_id)}"
