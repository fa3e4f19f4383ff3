from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dj_database_url
import pytest
from django.core import checks
from django.core.checks import run_checks
from django.db.utils import ConnectionHandler

from dashboard import system_checks
from dashboard.mail.server import SmtpServer
from dashboard.system_checks import addresses
from dashboard.system_checks.work import variables_are_known

ROOT = Path(__file__).parent.parent


def mail(
    *, host: str = "mail.example.com", port: int = 587, security: str = "starttls", password: str = ""
) -> SmtpServer:
    return SmtpServer(host=host, port=port, security=security, user="ada", password=password)


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
    [
        ((), False),
        (("127.0.0.6/32", "10.0.0.0/8", "fd00::/8"), False),
        (("0.0.0.0/0",), True),
        (("10.0.0.0/8", "::/0"), True),
        (("0.0.0.0/1", "128.0.0.0/1"), True),
        (("0.0.0.0/7", "2.0.0.0/7"), True),
    ],
)
def test_believing_the_header_of_everybody_is_warned_of(settings: Any, ranges: tuple[str, ...], warned: bool) -> None:
    settings.TRUSTED_PROXIES = tuple(ipaddress.ip_network(one) for one in ranges)
    assert ("dashboard.W002" in warnings()) is warned


@pytest.mark.parametrize(
    ("key", "wrong", "right"),
    [
        ("W004", {"REDIS_URL": "redis://:pw@redis.example.com:6379/0"}, {"REDIS_URL": "redis://[::1]:6379/0"}),
        ("W005", {"ALLOWED_HOSTS": ["localhost", "credboard.example.com"]}, {"ALLOWED_HOSTS": ["127.0.0.1", "[::1]"]}),
        ("W005", {"ALLOWED_HOSTS": ["10.0.0.7"]}, {"ALLOWED_HOSTS": ["10.0.0.7"], "HTTPS": True}),
        ("W006", {"ALLOWED_HOSTS": ["*"]}, {"ALLOWED_HOSTS": ["credboard.example.com"]}),
        ("W007", {"REDELIVER_AFTER": 1_800}, {"REDELIVER_AFTER": 1_801}),
        ("W008", {"SCAN_LEASE": 90, "API_TIMEOUT": 30}, {"SCAN_LEASE": 120, "API_TIMEOUT": 30}),
        ("W009", {"OPERATORS": {"ada"}, "TRUSTED_PROXIES": ()}, {"OPERATORS": frozenset()}),
        (
            "W011",
            {"PUBLIC_URL_IS_SET": True, "PUBLIC_URL": "https://c.example.com", "HTTPS": False},
            {"HTTPS": True},
        ),
        (
            "W011",
            {"PUBLIC_URL_IS_SET": True, "PUBLIC_URL": "http://c.example.com", "HTTPS": True},
            {"PUBLIC_URL_IS_SET": False},
        ),
        (
            "W011",
            {"CSRF_TRUSTED_ORIGINS": ["http://a.example.com", "https://b.example.com"], "HTTPS": False},
            {"HTTPS": True},
        ),
        ("W019", {"SECRET_KEY": "pw@ of several words"}, {"SECRET_KEY": "pw@ofoneword"}),
        ("W012", {"FINGERPRINT_KEY": "x" * 19}, {"FINGERPRINT_KEY": "x" * 20}),
        ("W012", {"METRICS_TOKEN": "pw@"}, {"METRICS_TOKEN": ""}),
        ("W013", {"METRICS_TOKEN": "pw@" * 20, "SECRET_KEY_FALLBACKS": ["pw@" * 20]}, {"SECRET_KEY_FALLBACKS": []}),
        ("W013", {"SMTP_SERVER": mail(password="pw@"), "FINGERPRINT_KEY": "pw@"}, {"SMTP_SERVER": None}),
        (
            "W014",
            {"PUBLIC_URL_IS_SET": True, "PUBLIC_URL": "https://c.example.com", "FORCE_SCRIPT_NAME": "/credboard"},
            {"PUBLIC_URL": "https://c.example.com/credboard", "ALLOWED_HOSTS": ["c.example.com"]},
        ),
        (
            "W014",
            {"PUBLIC_URL_IS_SET": True, "PUBLIC_URL": "https://c.example.com:8443", "ALLOWED_HOSTS": ["localhost"]},
            {"ALLOWED_HOSTS": [".example.com"]},
        ),
        ("W015", {"SMTP_SERVER": mail(port=465)}, {"SMTP_SERVER": mail(port=2525)}),
        ("W015", {"SMTP_SERVER": mail(security="tls")}, {"SMTP_SERVER": mail(security="tls", port=465)}),
        ("W015", {"SMTP_SERVER": mail(security="none")}, {"SMTP_SERVER": mail(security="none", host="localhost")}),
        ("W016", {"OPERATORS": {"mesh:ada"}, "USER_PREFIX": "mesh:"}, {"OPERATORS": {"ada"}}),
        ("W016", {"OPERATORS": {"system:masters"}}, {"OPERATORS": {"ada@example.com"}}),
        ("W017", {"GROUPS_HEADER": "KubeFlow-UserID"}, {"GROUPS_HEADER": "kubeflow-groups"}),
        ("W018", {"ALERT_SCHEMAS": {"slakc", "slack"}}, {"ALERT_SCHEMAS": {"Slack", "mailtos"}}),
        ("W018", {"ALERT_SCHEMAS": {"syslog"}}, {"ALERT_SCHEMAS": frozenset()}),
        (
            "I001",
            {"SECRET_KEY": "same", "FINGERPRINT_KEY": "same", "SECRET_KEY_IS_EPHEMERAL": False},
            {"SECRET_KEY": "one", "FINGERPRINT_KEY": "another", "SECRET_KEY_IS_EPHEMERAL": False},
        ),
        (
            "E001",
            {"SECRET_KEY_IS_EPHEMERAL": True, "sqlite": False},
            {"SECRET_KEY_IS_EPHEMERAL": True, "sqlite": True},
        ),
    ],
)
def test_settings_that_are_no_good_together_are_told_with_a_remedy(
    settings: Any, monkeypatch: pytest.MonkeyPatch, key: str, wrong: dict[str, Any], right: dict[str, Any]
) -> None:
    check = next(one for one in system_checks.CHECKS if one.__doc__.startswith(f"dashboard.{key}:"))

    def told(values: dict[str, Any]) -> list[checks.CheckMessage]:
        is_sqlite = values.get("sqlite", True)
        monkeypatch.setattr(sys.modules[check.__module__], "is_sqlite", lambda: is_sqlite, raising=False)
        for name, value in values.items():
            if name.isupper():
                setattr(settings, name, value)
        return list(check(None))

    (message,) = told(wrong)
    assert message.id == f"dashboard.{key}"
    assert message.hint
    assert "pw@" not in str(message)
    assert told(right) == []


def test_a_slip_of_the_pen_is_told_with_the_name_that_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDBOARD_SCAN_INTERVALL", "30")
    monkeypatch.setenv("CREDBOARD_QQQQ", "secret-value")
    monkeypatch.setenv("CREDBOARD_SECRET_KEY_FILE", "/run/key")

    found = {one.msg.split()[0]: one for one in variables_are_known(None)}

    assert found.keys() == {"CREDBOARD_SCAN_INTERVALL", "CREDBOARD_QQQQ"}
    assert found["CREDBOARD_SCAN_INTERVALL"].hint == "Did you mean CREDBOARD_SCAN_INTERVAL?"
    assert "secret-value" not in str(found.values())


def test_every_check_is_in_the_docs_and_no_id_is_given_twice() -> None:
    documented = [key for key, _ in system_checks.documented()]
    source = "".join(file.read_text(encoding="utf-8") for file in Path(system_checks.__file__).parent.glob("*.py"))

    assert documented == sorted(set(re.findall(r'id="(dashboard\.\w+)"', source)))
    assert len(documented) == len(set(documented))


@pytest.mark.parametrize(
    ("url", "about"),
    [
        ("redis://:hunter2@localhost/0", ""),
        ("rediss://:hunter2@localhost/0?ssl_cert_reqs=required&health_check_interval=30", ""),
        ("redis://:hunter2@localhost/0?pool=true", "'pool'"),
        ("redis://:hunter2@localhost/0?ssl_ca_certs=/ca.pem", "'ssl_ca_certs'"),
        ("redis://:hunter2@localhost/0?socket_timeout=soon", "'socket_timeout'"),
        ("rediss://:hunter2@localhost/0?ssl_cert_reqs=sometimes", "sometimes"),
    ],
)
def test_an_option_of_the_broker_that_is_none_stops_commands(settings: Any, url: str, about: str) -> None:
    settings.REDIS_URL = url

    told = [one for one in run_checks() if one.id == "dashboard.E003"]

    assert bool(told) is bool(about)
    assert all(about in one.msg and "hunter2" not in str(one) for one in told)


@pytest.mark.parametrize(
    ("query", "about"),
    [
        ("", ""),
        ("sslmode=require&target_session_attrs=read-write&prepare_threshold=0", ""),
        ("sslmod=require", '"sslmod"'),
        ("conn_max_age=3", '"conn_max_age"'),
        ("pool=true", '"pool"'),
    ],
)
def test_an_option_of_the_database_that_is_none_stops_commands(
    monkeypatch: pytest.MonkeyPatch, query: str, about: str
) -> None:
    given = dj_database_url.parse(f"postgres://credboard:hunter2@127.0.0.1:1/credboard?{query}")
    monkeypatch.setattr(addresses, "connection", ConnectionHandler({"default": given})["default"])

    told = [one for one in run_checks() if one.id == "dashboard.E004"]

    assert bool(told) is bool(about)
    assert all(about in one.msg and "hunter2" not in str(one) for one in told)


def test_outside_of_a_deployment_nothing_is_warned_of() -> None:
    assert [one for one in run_checks() if str(one.id).startswith("dashboard.")] == []


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("CREDBOARD_LOG_LEVEL", "loud", "CREDBOARD_LOG_LEVEL='loud' must be one of DEBUG, INFO, WARNING, ERROR"),
        ("CREDBOARD_SCAN_INTERVAL", "1", "CREDBOARD_SCAN_INTERVAL=1 is not between 5 and 86400"),
        ("CREDBOARD_HTTPS", "perhaps", "CREDBOARD_HTTPS='perhaps' is not a boolean"),
        ("CREDBOARD_TRUSTED_PROXIES", "mesh", "CREDBOARD_TRUSTED_PROXIES: 'mesh' is not an IP range"),
        ("CREDBOARD_LOG_FORMAT", "xml", "CREDBOARD_LOG_FORMAT='xml' must be one of line, json"),
        ("DATABASE_URL", "mysql://credboard:hunter2@db/x", "DATABASE_URL does not begin with one of postgres"),
        ("REDIS_URL", "redis://:hunter2@host:port/0", "REDIS_URL is not an address; write redis://"),
        ("CREDBOARD_SMTP_HOST", "mail.example.com", "A setting is wrong. CREDBOARD_SMTP_HOST is set, and"),
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
    assert "hunter2" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("mail", "url", "warned"), [(True, False, True), (True, True, False), (False, False, False)])
def test_links_in_mails_that_lead_nowhere_are_warned_of(settings: Any, mail: bool, url: bool, warned: bool) -> None:
    settings.MAIL_IS_ON, settings.PUBLIC_URL_IS_SET = mail, url
    assert ("dashboard.W010" in warnings()) is warned
