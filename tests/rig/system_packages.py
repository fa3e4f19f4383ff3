"""Install, where this machine lacks them, the Debian packages that the tests use.

`python -m tests.rig.system_packages` installs with apt when it is root, and otherwise says what to install. It
runs on any Python 3.11 without our dependencies.
"""

# ruff: noqa: T201 (this is a command: printing is its work)

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_FONTS = {
    "fonts-inter": "/usr/share/fonts/*/inter/*",
    "fonts-dejavu-core": "/usr/share/fonts/truetype/dejavu/*",
    "fonts-noto-mono": "/usr/share/fonts/truetype/noto/NotoMono*",
}


def missing_packages() -> dict[str, str]:
    """{Debian package: what needs it}, for what is not here."""
    missing = {}
    if not shutil.which("postgres") and not any(Path("/usr/lib/postgresql").glob("*/bin/postgres")):
        missing["postgresql"] = "the tests of the database"
    if not Path(os.environ.get("CREDBOARD_CHROMIUM") or "/usr/bin/chromium").exists():
        missing["chromium"] = "the tests in a browser"
    if Path("/usr/share/fonts").is_dir():
        for package, files in _FONTS.items():
            if not any(Path("/").glob(files.removeprefix("/"))):
                missing[package] = "the screenshots"
    return missing


def main() -> int:
    """0 when everything is there or this is somebody's own machine; 1 when CI lacks something."""
    missing = missing_packages()
    if not missing:
        return 0
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            print(f"apt-get {' '.join(arguments)}", flush=True)
            # Where an update fails for one of many lists the install may still work, and says more when it does not.
            subprocess.run([apt, *arguments], stdin=subprocess.DEVNULL, env=environment, check=False)
        missing = missing_packages()
    for package, purpose in missing.items():
        print(f"not installed: {package}, for {purpose} (skipped and counted without it)", file=sys.stderr)
    if missing:
        print(f"To install: sudo apt-get install {' '.join(missing)}", file=sys.stderr)
    return int(bool(missing) and os.environ.get("CI", "").lower() == "true")


if __name__ == "__main__":
    raise SystemExit(main())
