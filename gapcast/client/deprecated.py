"""Names of the client and of modules that the next release removes: each warns, names the new one and works."""

import warnings
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from operator import attrgetter
from typing import Any

from gapcast.client.requests import MOST_A_PAGE
from gapcast.client.sync.client import Client
from gapcast.client.sync.events import Events
from gapcast.client.sync.pools import Pools
from gapcast.client.sync.predictions import Predictions

MODULES = {
    "gapcast.trl": "gapcast.elsewhere.trl",
    "gapcast.trl_sampling": "gapcast.elsewhere.trl_sampling",
    "gapcast.verl": "gapcast.elsewhere.verl",
}
METHODS = {
    "create_prediction": "predictions.create",
    "get_prediction": "predictions.get",
    "cancel_prediction": "predictions.cancel",
    "create_probe": "probes.create",
    "get_probe": "probes.get",
    "cancel_probe": "probes.cancel",
    "probe_events": "probes.events",
    "size_probe": "probes.size",
    "create_training_run": "training_runs.create",
    "create_training_runs": "training_runs.create_group",
    "get_training_run": "training_runs.get",
    "iterate_training_runs": "training_runs.list",
    "pause_training_run": "training_runs.pause",
    "resume_training_run": "training_runs.resume",
    "cancel_training_run": "training_runs.cancel",
    "training_events": "training_runs.events",
    "follow_training_runs": "training_runs.follow",
    "add_observations": "observations.create",
    "import_observations": "observations.import_file",
    "export_observations": "observations.export_file",
    "get_observation": "observations.get",
    "exclude_observation": "observations.exclude",
    "include_observation": "observations.include",
    "current_fit": "fits.current",
    "get_fit": "fits.get",
    "refit": "fits.create",
    "residuals": "fits.residuals",
    "curve": "fits.curve",
    "scaling": "fits.scaling",
    "calibration": "fits.calibration",
    "get_model": "models.get",
    "add_task": "tasks.create",
    "get_task": "tasks.get",
}
LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "list_predictions": ("predictions.list", ("limit", "after")),
    "list_probes": ("probes.list", ("limit", "after")),
    "list_training_runs": ("training_runs.list", ("limit", "after")),
    "list_checkpoints": ("training_runs.checkpoints", ("run_id",)),
    "list_observations": ("observations.list", ("limit", "after", "order")),
    "list_models": ("models.list", ()),
    "list_context_kinds": ("contexts.list", ()),
    "list_tasks": ("tasks.list", ()),
    "task_problems": ("tasks.problems", ("name", "limit", "after", "split")),
}
"""names that returned a list: the new one, and what could be given without a name; `limit` counted all items"""


def keep_old_names() -> None:
    """Let the blocking client answer to its old names."""
    Client.__getattr__ = _old_method  # type: ignore[attr-defined]
    Pools.__call__ = _old_pools  # type: ignore[method-assign]
    Events.__call__ = _old_events  # type: ignore[method-assign]


def moved(module: str) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module that has moved."""

    def look_up(name: str) -> Any:  # noqa: ANN401
        new = MODULES[module]
        try:
            value = getattr(import_module(new), name)
        except AttributeError:
            raise AttributeError(f"module {module!r} has no attribute {name!r}") from None
        _warn(module, new)
        return value

    return look_up


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is deprecated. Use {new}.", DeprecationWarning, stacklevel=3)


def _old_method(client: Client, name: str) -> Any:  # noqa: ANN401
    if name in LISTS:
        new, places = LISTS[name]
        _warn(f"Client.{name}", f"Client.{new}")
        return _listing(attrgetter(new)(client), places)
    if name not in METHODS:
        raise AttributeError(f"{type(client).__name__!r} object has no attribute {name!r}")
    _warn(f"Client.{name}", f"Client.{METHODS[name]}")
    return _renamed(attrgetter(METHODS[name])(client))


def _renamed(method: Callable[..., Any]) -> Callable[..., Any]:
    def call(*given: Any, **options: Any) -> Any:  # noqa: ANN401
        if "configuration" in options:  # what `request` was called
            given = (options.pop("configuration"), *given)
        return method(*given, **options)

    return call


def _listing(method: Callable[..., Any], places: tuple[str, ...]) -> Callable[..., list[Any]]:
    def call(*given: Any, **options: Any) -> list[Any]:  # noqa: ANN401
        options |= zip(places, given, strict=False)
        limit = options.pop("limit", 20) if "limit" in places else None
        if limit is not None:
            options["limit"] = min(limit, MOST_A_PAGE)
        return list(islice(method(**options), limit))

    return call


def _old_pools(pools: Pools) -> list[Any]:
    _warn("Client.pools()", "Client.pools.list()")
    return list(pools.list())


def _old_events(events: Events, prediction_id: str) -> Any:  # noqa: ANN401
    _warn("Client.events()", "Client.predictions.events")
    return Predictions(events._connection).events(prediction_id)
