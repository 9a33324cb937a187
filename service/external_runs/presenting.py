"""A stored external run as the API shows it."""

from gapcast.contract.external_runs import ExternalRunOut, ExternalRunRequest
from gapcast.contract.forecasts import Forecast
from gapcast.contract.stopping import Ruling
from service.external_runs.models import ExternalRun
from service.kit.clock import rfc3339


def run_out(row: ExternalRun, forecast: Forecast | None = None, ruling: Ruling | None = None) -> ExternalRunOut:
    """Show one, with its forecast and its rule's ruling if they are asked for."""
    return ExternalRunOut.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "tags": row.tags,
            "status": row.status,
            "external_id": row.external_id,
            "request": ExternalRunRequest.model_validate(row.request),
            **{name: getattr(row, name) for name in ("model", "task", "steps", "pool", "looks", "announced")},
            "forecast": forecast,
            "ruling": ruling or row.ruling,
            "observation_id": row.observation_id,
            "created_at": rfc3339(row.created_at),
            "finished_at": rfc3339(row.finished_at) if row.finished_at else None,
        }
    )
