"""The peer of `bench.api`: a bare FastAPI application that answers a constant, in the layout of our server."""

import socket
import sys

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

app = FastAPI()


@app.get("/hello")
def hello() -> dict[str, str]:
    """Answer."""
    return {"hello": "world"}


def main() -> None:
    """Serve on a port with a number of processes: `python -m bench.hello PORT PROCESSES`."""
    port, processes = int(sys.argv[1]), int(sys.argv[2])
    config = uvicorn.Config("bench.hello:app", workers=processes, http="h11", log_level="error", access_log=False)
    # named as TCP, as ours is: otherwise each answer of several processes waits 40 ms for an acknowledgement
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    if processes > 1:
        Multiprocess(config, [listener]).run()
    else:
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
