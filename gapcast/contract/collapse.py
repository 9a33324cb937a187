"""The one rule by which a run has collapsed, wherever its outcome comes from."""

LOST = 0.5
"""share of the baseline: with it more of what the student could do is gone than is left"""
BEYOND_NOISE = 2.0
"""standard errors: one loss in forty of a run that lost nothing is larger by chance"""


def has_collapsed(baseline: float, improvement: float, se: float) -> bool:
    """Return True if more than half of the baseline is lost, and more than two standard errors.

    A run that trains here is stopped by this rule, and its end, an imported row that does not say `collapsed` and an
    external run are marked by it. The law's probability of a collapse (service.law.collapse) is another matter: it is
    learnt from how far runs lie off the law.

    Args:
        baseline: accuracy of the student before training.
        improvement: accuracy after training minus before.
        se: standard error of the improvement over problems.
    """
    return improvement < -LOST * baseline and improvement < -BEYOND_NOISE * se
