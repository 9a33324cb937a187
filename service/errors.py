"""The errors that a user can meet; each carries its status and code.

To add one: subclass the nearest error here or in `service.kit.errors`, set `status` and `code`, write the docstring as
the default detail, and name it in the endpoint's `responses=problems(...)`.
"""

from service.kit.errors import Conflict, GapcastError, InvalidRequest


class UnknownModel(InvalidRequest):
    """This model is not in the catalog; GET /v1/models lists those that are."""

    code = "unknown_model"


class UnknownTask(InvalidRequest):
    """This task is not in the catalog; GET /v1/tasks lists those that are."""

    code = "unknown_task"


class TooManyJobs(GapcastError):
    """Too many jobs are waiting; try again when some have ended."""

    status = 429
    code = "too_many_jobs"


class TooManyStreams(GapcastError):
    """Too many streams of events are open; close one first."""

    status = 429
    code = "too_many_streams"


class DuplicateRun(Conflict):
    """A run of this configuration with this seed exists already; send another seed."""

    code = "duplicate_run"


class NoLooks(Conflict):
    """This run has not been evaluated yet; ask again after its first evaluation."""

    code = "no_looks"


class UnknownPool(InvalidRequest):
    """This pool does not exist; leave `pool` out, or import observations into it."""

    code = "unknown_pool"


class ReadOnlyPool(InvalidRequest):
    """This pool ships with Gapcast and never changes; use `default`, or a pool of another name."""

    status = 409
    code = "read_only_pool"


class InvalidFile(InvalidRequest):
    """The file is not of the type that its Content-Type names, or it is too large."""

    code = "invalid_file"


class ObservationConflict(InvalidRequest):
    """An external_id is stored already with other content; send the same content, or another external_id."""

    status = 409
    code = "observation_conflict"


class OldFit(GapcastError):
    """An earlier version of the law made this fit and this version cannot evaluate it; use the pool's newest fit."""

    status = 409
    code = "old_fit"
