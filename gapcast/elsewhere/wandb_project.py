"""The runs of a W&B project, asked for by the package wandb. It was not run against W&B's servers."""

from gapcast.elsewhere.past_runs import PastRun, flat
from gapcast.elsewhere.wandb_run import WandbError


def read_project(path: str) -> list[PastRun]:
    """Read the finished runs of a project.

    Args:
        path: `entity/project`.

    Raises:
        WandbError: the package is missing, or W&B refused.
    """
    try:
        import wandb
    except ImportError:
        raise WandbError("--wandb: W&B projects are read by the package wandb: pip install 'gapcast[wandb]'.") from None
    try:
        runs = [run for run in wandb.Api().runs(path) if run.state == "finished"]
        return [
            PastRun(
                f"{path}/{run.id}",
                run.id,
                run.name or run.id,
                dict(flat({**dict(run.summary), **dict(run.config)})),
                [(f"row {number}", row) for number, row in enumerate(run.scan_history(), start=1)],
            )
            for run in runs
        ]
    except (wandb.Error, ValueError, OSError) as error:
        reason = str(error).rstrip(".")
        raise WandbError(f"--wandb: W&B did not give the runs of {path!r}: {reason}. Is `wandb login` done?") from None
