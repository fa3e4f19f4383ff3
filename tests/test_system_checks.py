from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

ROOT = Path(__file__).parent.parent


def warnings() -> dict[str, str]:
    """Ids with their hints, of a deployment with the present settings."""
    found = run_checks(include_deployment_checks=True)
    return {str(one.id): str(one.hint) for one in found if str(one.id).startswith("dashboard.")}


def test_a_key_that_does_not_outlive_the_process_is_warned_of(settings: Any) -> None:
    settings.SECRET_KEY_IS_EPHEMERAL = True
    assert "CREDBOARD_SECRET_KEY_FILE" in warnings()["dashboard.W001"]
    settings.SECRET_KEY_IS_EPHEMERAL = False
    assert "dashboard.W001" not in warnings()


@pytest.mark.parametrize(
    ("ranges", "warned"),
    [((), False), (("127.0.0.6/32", "10.0.0.0/8"), False), (("0.0.0.0/0",), True), (("10.0.0.0/8", "::/0"), True)],
)
def test_believing_the_header_of_everybody_is_warned_of(settings: Any, ranges: tuple[str, ...], warned: bool) -> None:
    settings.TRUSTED_PROXIES = tuple(ipaddress.ip_network(one) for one in ranges)
    assert ("dashboard.W002" in warnings()) is warned


def test_outside_of_a_deployment_nothing_is_warned_of() -> None:
    assert [one for one in run_checks() if str(one.id).startswith("dashboard.")] == []


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CREDBOARD_LOG_LEVEL", "loud", "CREDBOARD_LOG_LEVEL='loud' must be one of DEBUG, INFO, WARNING, ERROR"),
        ("CREDBOARD_SCAN_INTERVAL", "1", "CREDBOARD_SCAN_INTERVAL=1 is not between 5 and 86400"),
        ("CREDBOARD_HTTPS", "perhaps", "CREDBOARD_HTTPS='perhaps' is not a boolean"),
        ("CREDBOARD_TRUSTED_PROXIES", "mesh", "CREDBOARD_TRUSTED_PROXIES: 'mesh' is not an IP range"),
    ],
)
def test_a_setting_that_makes_no_sense_stops_every_command(variable: str, value: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": "sqlite://:memory:", variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert words in done.stderr
