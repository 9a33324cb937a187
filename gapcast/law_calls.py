"""The client's calls for the law: its versions, what can be asked of each, and the size of a probe."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from gapcast.connection import Connection, segment, without_nones
from gapcast.models import Calibration, CurrentFit, Curve, Fit, ProbeSize, Residuals, Scaling
from gapcast.reading import read


class LawCalls(Connection):
    """What a client asks of `/v1/fits` and `/v1/probes/size`."""

    def current_fit(self, pool: str = "default") -> CurrentFit:
        """Read the newest law of a pool; in a pool of at most 5,000 observations it knows every one of them."""
        return read(CurrentFit, self.request("GET", "/v1/fits/current", params={"pool": pool}))

    def get_fit(self, fit_id: str) -> Fit:
        """Read one version of the law; it never changes."""
        return read(Fit, self.request("GET", f"/v1/fits/{segment(fit_id)}"))

    def refit(self, pool: str = "default") -> Fit:
        """Fit a pool now; where nothing has changed since, this is the newest fit."""
        return read(Fit, self.request("POST", "/v1/fits", json={"pool": pool}))

    def residuals(
        self,
        fit_id: str,
        *,
        family: str | None = None,
        outliers: bool = False,
        limit: int = 20,
        after: str | None = None,
        order: Literal["asc", "desc"] = "desc",
    ) -> Residuals:
        """Read one page of observations against what the others say of each, newest first.

        Args:
            fit_id: the version of the law.
            family: of this family alone.
            outliers: only runs that probably do not belong.
            limit: at most 100.
            after: the id after which the page begins.
            order: by time of creation.
        """
        query = {"family": family, "outliers": outliers, "limit": limit, "after": after, "order": order}
        return read(Residuals, self._of(fit_id, "residuals", query))

    def curve(
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
            cell: `family|task|teacher-divergence`; None: the family's own curve.
            teacher: `frozen`, `ema` or `trust_region`, where no cell is named; None: that of most of the family's runs.
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
        return read(Curve, self._of(fit_id, "curve", runs | band))

    def scaling(self, fit_id: str) -> Scaling:
        """Read the slope by model size within each family and recipe, and whether the sizes share one."""
        return read(Scaling, self._of(fit_id, "scaling", {}))

    def calibration(self, fit_id: str, levels: Sequence[float] | None = None) -> Calibration:
        """Read how the predictions turned out whose outcomes this fit knows; levels 0.5, 0.8 and 0.95 unless given."""
        return read(Calibration, self._of(fit_id, "calibration", {"level": list(levels) if levels else None}))

    def _of(self, fit_id: str, what: str, query: Mapping[str, Any]) -> Any:  # noqa: ANN401
        return self.request("GET", f"/v1/fits/{segment(fit_id)}/{what}", params=without_nones(query))

    def size_probe(self, request: Mapping[str, Any]) -> ProbeSize:
        """Ask for the cheapest probe whose prediction is as narrow as wanted (the body of `POST /v1/probes/size`).

        Args:
            request: at least `model`, `task` and `target_half_width`, a share: 0.05 is 5 accuracy points.

        Returns:
            The size; `problems` and `rollouts` are None, and `message` says why, where no probe reaches the target.
        """
        return read(ProbeSize, self.request("POST", "/v1/probes/size", json=dict(request)))
