"""The peer of `bench.api`: a bare FastAPI application that answers a constant."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/hello")
def hello() -> dict[str, str]:
    """Answer."""
    return {"hello": "world"}
