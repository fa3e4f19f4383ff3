"""The wheels of the lock file, fetched once for each lock and kept in our cache: installing from them needs no network.

`python -m tests.rig.wheels` fetches what is missing with docker/wheelhouse.sh, as the image does.
"""

# ruff: noqa: T201 (this is a command too: printing is its work)

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.rig.binaries import cache_folder

ROOT = Path(__file__).resolve().parents[2]


def wheelhouse() -> Path:
    """Where the wheels of this lock are, for this Python; it is there once they all are."""
    lock = hashlib.sha256((ROOT / "requirements" / "run.txt").read_bytes()).hexdigest()[:16]
    return cache_folder() / f"wheels-{sys.implementation.cache_tag}-{lock}"


def main() -> int:
    target = wheelhouse()
    if not target.is_dir():
        cache_folder().mkdir(parents=True, exist_ok=True)
        print(f"fetching the wheels of requirements/run.txt into {target}", flush=True)
        with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".wheels-") as scratch:
            draft = Path(scratch) / "wheels"
            environment = {**os.environ, "PYTHON": sys.executable}
            done = subprocess.run([ROOT / "docker" / "wheelhouse.sh", draft], env=environment, check=False)
            if done.returncode:
                print("the wheels could not be fetched: what pip said is above", file=sys.stderr)
                return 1
            for older in cache_folder().glob("wheels-*"):
                shutil.rmtree(older, ignore_errors=True)
            draft.rename(target)
    print(f"wheels: {target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
