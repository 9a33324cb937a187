"""All that the forecast of a run stands on before its first step: the law, the question to it, and the run's cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from service.law.curve.cells import Cell
from service.law.curve.ends import Forecast, forecast, prior
from service.law.curve.looks import Curve
from service.law.estimator import GapLaw
from service.law.observations import FloatArray, Probe
from service.law.predicting import mixture
from service.law.record import Record


class Begun(NamedTuple):
    """What is measured of a run before its first step.

    Attributes:
        baseline: accuracy. gap, gap_var: the self-teacher's lead and its sampling variance.
        cov: covariance of the sampling errors of the gap and of an improvement.
    """

    baseline: float
    gap: float
    gap_var: float
    cov: float


class Expected(NamedTuple):
    """The end of a run that has begun, before it has shown anything; it is forecast from there after each look.

    Attributes:
        before: (G,) probabilities. cell: its cell. baseline: its accuracy before training.
    """

    before: FloatArray
    cell: Cell
    baseline: float

    def after(self, looks: Curve) -> Forecast:
        """Forecast the end after each look. A later look changes nothing of what is said at an earlier one."""
        return forecast(self.before, self.cell, looks, self.baseline)


@dataclass(frozen=True, eq=False)
class Grounds:
    """What a forecast stands on.

    Attributes:
        law: of runs of such a length.
        question: the fields of ``Probe`` but for what is measured: family, cell, teacher, divergence, context, model.
        cell: what finished runs of the cell say.
    """

    law: GapLaw
    question: Mapping[str, Any]
    cell: Cell

    def probe(self, begun: Begun, improvement_var: float) -> Probe:
        """Return the question to the law."""
        most = float((begun.gap_var * improvement_var) ** 0.5)
        return Probe(
            gap=begun.gap,
            gap_var=begun.gap_var,
            baseline=begun.baseline,
            improvement_var=improvement_var,
            cov=float(np.clip(begun.cov, -most, most)),
            **self.question,
        )

    def begin(self, begun: Begun, end_var: float, baseline_var: float) -> "Expected":
        """Ask the law, once for a run.

        Args:
            begun: what is measured of the run.
            end_var: sampling variance that the end's accuracy will be measured with.
            baseline_var: that of the baseline.
        """
        improvement_var = min(end_var + baseline_var, 1.0)  # the most that the law takes for a difference
        predicted = mixture(self.law.state_, self.probe(begun, improvement_var)).merged()
        return Expected(prior(predicted, improvement_var, end_var, begun.baseline), self.cell, begun.baseline)

    def to_record(self) -> Record:
        """Write it as JSON values."""
        cell = {"runs": self.cell.runs, "weight": self.cell.weight.tolist()}
        return {"law": self.law.to_record(), "question": dict(self.question), "cell": cell}

    @classmethod
    def from_record(cls, record: Record) -> "Grounds":
        """Read what ``to_record`` wrote.

        Raises:
            ValueError: another version of the law wrote it.
        """
        cell = Cell(record["cell"]["runs"], np.array(record["cell"]["weight"], dtype=np.float64))
        return cls(GapLaw.from_record(record["law"]), record["question"], cell)
