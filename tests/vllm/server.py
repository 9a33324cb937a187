"""A vLLM server as a user would start it."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gapcast.launching import module_command, safe_environment

START_SECONDS = 240.0


@contextmanager
def serve(folder: Path, log: Path, *options: str, cpu: bool = True) -> Iterator[str]:
    """Its URL, up to `/v1`; the process is ended with all that it started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**safe_environment(os.environ), "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    if cpu:
        environment |= {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
        # a prompt read in two pieces makes vLLM rewind the generator of a seeded request, which a CPU cannot
        options = (*options, "--enforce-eager", "--no-enable-chunked-prefill", "--kv-cache-memory-bytes", str(64 << 20))
    command = module_command("vllm.entrypoints.openai.api_server", "--model", str(folder))
    command += ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "served", "--dtype", "float32"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *options], env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            _wait(process, port, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')[-4000:]}")
