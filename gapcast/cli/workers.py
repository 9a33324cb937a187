"""`gapcast workers`: the processes that run jobs, and what they are running."""

from gapcast.cli.listing import show_list
from gapcast.cli.printing.lists import print_workers
from gapcast.cli.terminal import AsJson, Url, exit_on_refusal
from gapcast.client import DEFAULT_URL, Client


def workers(url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List the workers of a server, the jobs that they run, and how many wait."""
    with exit_on_refusal(), Client(url) as client:
        found = client.workers.list()
        show_list("workers", len(found.data), lambda _: found, print_workers, as_json=as_json)
