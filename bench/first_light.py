"""Seconds from the start of the installed product to the printed prediction, and what the probe costs of a run."""

import json
import subprocess
import sysconfig
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from statistics import median


def main() -> None:
    """Run the demo in a fresh folder, twice, and read the lab pool's costs."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first", "second"):
            began = time.perf_counter()
            command = [Path(sysconfig.get_path("scripts"), "gapcast"), "demo", "--port", "0", "--data-dir", folder]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if done.returncode:
                raise SystemExit(done.stdout.decode())
            print(
                f"demo, {name} time: {time.perf_counter() - began:.1f} s, start to stop (gate: prediction within 60 s)"
            )
    rows = json.loads(files("service.observations").joinpath("lab_pool.json").read_text())
    print(
        f"an OPSD run of the lab pool: {median(row['cost']['seconds'] for row in rows):.1f} s (median of {len(rows)})"
    )


if __name__ == "__main__":
    main()
