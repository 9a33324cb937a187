"""Failures that a user is told about; everything else that a child raises is the server's fault."""

from typing import Literal

from gapcast.contract.training_results import Held


class JobError(Exception):
    """A job failed for a reason that has a name.

    `code` is stable and machine-readable, `message` is for people, `param` names the request's field that caused it
    (null when none did) and `category` says who can mend it.
    """

    def __init__(
        self, code: str, message: str, param: str | None = None, category: Literal["user", "server"] = "user"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.category: Literal["user", "server"] = category

    def as_dict(self) -> dict[str, str | None]:
        """The `error` object of a failed job (DESIGN.md, REST)."""
        return {"code": self.code, "message": self.message, "param": self.param, "category": self.category}


def out_of_memory(what: str) -> JobError:
    """The failure of a model that needs more memory than there is; another attempt would meet it again."""
    return JobError(
        "out_of_memory",
        f"{what}; take a smaller model or a shorter model.options.max_model_len, or ask for fewer rollouts.",
        "model.options",
    )


class Paused(Exception):
    """A training run has written its checkpoint after `step` optimizer steps and stops.

    It was asked to, or puts itself aside, as `held` says.
    """

    def __init__(self, step: int, held: Held | None = None) -> None:
        super().__init__(f"paused after step {step}")
        self.step, self.held = step, held


class RankDied(Exception):
    """One of the processes that shared a run ended without a word; `signal` is what ended it, if one did."""

    def __init__(self, signal: int | None) -> None:
        how = "without saying why" if signal is None else f"by signal {signal}"
        super().__init__(f"One of the run's processes ended {how}; the others were ended with it.")
        self.signal = signal
