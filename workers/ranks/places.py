"""What the processes of one job find in the folder that they have in common."""

JOB = "job.json"
STOP = "stop"
"""Is there once all are to stop after their step."""
ERROR = "error-*.json"
"""By the rank that failed."""

AGENT = "GAPCAST_AGENT_PID"
"""The environment variable that tells a rank which process it lives and dies with."""
SIGNALLED = 128
"""A process that ends with this and N more did so because signal N ended one of its own: a shell's custom."""
