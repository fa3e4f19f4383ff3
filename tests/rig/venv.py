"""What the Makefile calls VENV, for tests that run `make` as people type it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def installed(folder: Path) -> Path:
    """Makes `folder` a VENV in which nothing is left to install: its Python is the one that runs the tests.

    Returns `folder`.
    """
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    # A link to a virtual environment's Python would not find its packages.
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    for lock in ("run", "dev"):
        # As the Makefile names what it touches when it has installed: for the lock's checksum.
        with (ROOT / "requirements" / f"{lock}.txt").open("rb") as text:
            told = subprocess.run(["cksum"], stdin=text, capture_output=True, text=True, check=True)
        (folder / f".{lock}-{told.stdout.strip().replace(' ', '-')}").touch()
    return folder
