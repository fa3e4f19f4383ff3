"""What a page of the matrix shows, from its HTML."""

from __future__ import annotations

import re
from typing import Any

QUAY, HUB = "registry/quay.io", "registry/docker.io"


def names(response: Any) -> list[str]:
    return re.findall(r'<th scope="row" class="name"><a [^>]*>([^<]+)</a>', response.content.decode())


def tallies(response: Any) -> dict[str, int]:
    found = re.findall(r'id="tally-(\w+)".*?<b>(\d+)</b>', response.content.decode())
    return {status: int(count) for status, count in found}
