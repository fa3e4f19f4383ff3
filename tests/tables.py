"""Tables of cases in YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

#: libyaml's, which the wheels of PyYAML have: it takes a tenth of the time, and each process of a run reads all tables.
FAST_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def table(file: Path) -> Any:
    """What the YAML file holds."""
    return yaml.load(file.read_text(encoding="utf-8"), Loader=FAST_LOADER)
