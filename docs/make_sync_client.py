"""Write gapcast/client/sync, the blocking client, from gapcast/client/aio: the same code without async and await.

Run `python docs/make_sync_client.py`; a test fails when the files are not what it would write.
"""

import io
import subprocess
import sys
import tokenize
from itertools import pairwise
from pathlib import Path

CLIENT = Path(__file__).parents[1] / "gapcast" / "client"
NOTE = "# Made from gapcast/client/aio by docs/make_sync_client.py: change the code there.\n"
NAMES = {
    "AsyncClient": "Client",
    "AsyncConnection": "Connection",
    "AsyncIterator": "Iterator",
    "AsyncPage": "Page",
    "AsyncRetrying": "Retrying",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "aclose": "close",
    "aio": "sync",
    "aiter_bytes": "iter_bytes",
    "aread": "read",
    "asyncio": "time",
}


def blocking(source: str) -> str:
    """Return asynchronous code as blocking code; strings keep their text, but for the names of classes."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    written, at = [], 0
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for token, following in pairwise(tokens):
        begin = starts[token.start[0] - 1] + token.start[1]
        end = starts[token.end[0] - 1] + token.end[1]
        if token.type == tokenize.NAME and token.string in {"async", "await"}:
            written.append(source[at:begin])
            at = starts[following.start[0] - 1] + following.start[1]
        elif token.type == tokenize.NAME and token.string in NAMES:
            written += [source[at:begin], NAMES[token.string]]
            at = end
        elif token.type == tokenize.STRING:
            text = token.string
            for name in ("AsyncClient", "AsyncConnection", "AsyncPage"):
                text = text.replace(name, NAMES[name])
            written += [source[at:begin], text]
            at = end
    written.append(source[at:])
    return tidy(NOTE + "".join(written))


def tidy(source: str) -> str:
    """Return code as ruff writes it: imports in order, `yield from` for a loop that is no longer asynchronous."""
    here = ["--stdin-filename", str(CLIENT / "sync" / "x.py"), "-"]
    fix = ["check", "--quiet", "--fix", "--unsafe-fixes", "--select", "I,UP028,C416"]
    first_party = ["--config", "lint.isort.known-first-party=['gapcast']"]  # whether or not the folder is there yet
    for command in ([*fix, *first_party, *here], ["format", *here]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command], input=source, capture_output=True, text=True, check=True
        )
        source = ran.stdout
    return source


def made() -> dict[str, str]:
    """Return the files of gapcast/client/sync, by name."""
    return {file.name: blocking(file.read_text()) for file in sorted((CLIENT / "aio").glob("*.py"))}


if __name__ == "__main__":
    for name, text in made().items():
        (CLIENT / "sync" / name).write_text(text)
