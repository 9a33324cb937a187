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


class DuplicateRun(Conflict):
    """This configuration is or was trained with this seed already; send another seed."""

    code = "duplicate_run"


class UnknownPool(InvalidRequest):
    """There is no pool of this name; leave `pool` out, or import observations into it."""

    code = "unknown_pool"


class ReadOnlyPool(InvalidRequest):
    """This pool ships with Gapcast and never changes; use `default`, or a pool of another name."""

    status = 409
    code = "read_only_pool"


class InvalidFile(InvalidRequest):
    """The file is not what its media type says, or too much."""

    code = "invalid_file"


class ObservationConflict(InvalidRequest):
    """An external_id is stored already with another content."""

    status = 409
    code = "observation_conflict"


class OldFit(GapcastError):
    """Another version of the law made this fit; this one can evaluate the pool's newest fit, but not this."""

    status = 409
    code = "old_fit"
