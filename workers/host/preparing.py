"""Where this machine has what a job needs: its model by the worker's settings, its task written to the data folder."""

from sqlalchemy.orm import Session

from gapcast.contract.base import JsonObject
from service.catalog.service import model_source
from service.errors import UnknownTask
from service.listed_models import LAB_PREFIX, ModelEntry
from service.settings import Settings
from service.tasks.export import Damaged, export_task
from workers.failures import JobError
from workers.host.child_process import Failed


def places(session: Session, tenant: str, configuration: JsonObject, settings: Settings, worker: str) -> JsonObject:
    """Return model and task, as `workers.resources.Resources` reads them in the child; not every job has both.

    Raises:
        Failed: this worker has no such model, another revision of it, or no whole task.
    """
    entry = _entry(configuration, settings, worker)
    task = None
    try:
        if "task" in configuration:
            name, revision = configuration["task"], configuration["task_revision"]
            task = export_task(session, tenant, name, revision, settings.data_dir / "tasks")
    except UnknownTask as error:
        raise _failed("task_not_found", error.detail, "task") from error
    except Damaged as error:
        raise _failed("task_file_broken", f"The task as the database holds it is damaged: {error}.", "task") from error
    return {
        "source": model_source(entry) if entry is not None else None,
        "task_folder": str(task) if task is not None else None,
    }


def _entry(configuration: JsonObject, settings: Settings, worker: str) -> ModelEntry | None:
    """The model in this worker's settings, which may not be the server's; null for the lab's, and for no model."""
    if "model" not in configuration:
        return None
    name, revision = configuration["model"], configuration["model_revision"]
    if name.startswith(LAB_PREFIX):
        return None
    entry = next((one for one in settings.models if one.name == name), None)
    if entry is None:
        raise _failed(
            "model_not_found",
            f"Worker {worker} has no model {name!r} in its settings; list it under [[models]] in its gapcast.toml or "
            "in its GAPCAST_MODELS, as the server does.",
            "model",
        )
    if entry.revision != revision:
        raise _failed(
            "model_revision_mismatch",
            f"Worker {worker} has revision {entry.revision} of model {name!r} in its settings (gapcast.toml or "
            f"GAPCAST_MODELS), not {revision}, which was asked for; give the server and its workers the same one.",
            "model_revision",
        )
    return entry


def _failed(code: str, message: str, param: str) -> Failed:
    """Another attempt would meet it again, and whoever runs the worker can mend it."""
    return Failed(JobError(code, message, param, "server").as_dict())
