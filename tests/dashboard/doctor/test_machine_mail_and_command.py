"""The doctor on this machine and on mail, and what the command makes of it all."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from dashboard.doctor import Advice, Level, machine
from dashboard.mail.server import SmtpServer
from dashboard.models import Mail
from tests.dashboard.doctor.told import PASSWORD, levels, words
from tests.rig.process import free_port
from tests.rig.smtp import SmtpSink

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.django_db


class TestMachine:
    def test_static_files_that_were_not_collected_are_told(self, settings: Any, tmp_path: Path) -> None:
        settings.STATIC_ROOT = tmp_path
        assert "manage.py collectstatic" in words("static files")
        (tmp_path / "staticfiles.json").write_text("{}")
        assert levels("static files") == {Level.OK}

    def test_the_time_zone_database_is_needed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert levels("time zones") == {Level.OK}
        monkeypatch.setattr(machine, "_A_ZONE", "Nowhere/At_All")
        assert levels("time zones") == {Level.PROBLEM}

    def test_settings_that_are_no_good_together_are_told(self, settings: Any) -> None:
        settings.ALLOWED_HOSTS = ["*"]

        settings.SECRET_KEY, settings.SECRET_KEY_IS_EPHEMERAL = "too-short", False

        assert "dashboard.W006" in words("settings")
        assert "security.W009" in words("settings")
        assert "security.W004" not in words("settings")


class TestMail:
    def test_mail_that_is_off_is_no_problem(self) -> None:
        assert levels("mail") == {Level.OK}

    def test_a_server_that_does_not_answer_is_told(self, settings: Any) -> None:
        settings.SMTP_SERVER = SmtpServer(host="127.0.0.1", port=free_port(), security="none", password=PASSWORD)

        assert levels("mail") == {Level.PROBLEM}
        assert "CREDBOARD_SMTP_HOST" in words("mail")

    def test_mails_that_failed_are_counted(self, settings: Any) -> None:
        settings.SMTP_SERVER = SmtpServer(host="127.0.0.1", port=free_port(), security="none")
        Mail.objects.create(key="a", kind="report", to="grace@example.com", subject="x", text="x", state="failed")

        assert "Mails that could not be sent: 1." in words("mail")

    def test_a_server_that_talks_to_us_is_well_and_gets_no_mail(self, settings: Any) -> None:
        with SmtpSink() as sink:
            settings.SMTP_SERVER = SmtpServer(host="127.0.0.1", port=sink.port, security="none")

            assert levels("mail") == {Level.OK}
            assert f"127.0.0.1:{sink.port} talks to us" in words("mail")
            assert sink.messages == []

    def test_a_password_that_is_refused_is_told_and_not_shown(self, settings: Any) -> None:
        with SmtpSink(users={"ada": "another"}) as sink:
            settings.SMTP_SERVER = SmtpServer(
                host="127.0.0.1", port=sink.port, security="none", user="ada", password=PASSWORD
            )

            assert levels("mail") == {Level.PROBLEM}
            assert "CREDBOARD_SMTP_USER" in words("mail")


class TestCommand:
    def test_it_ends_with_1_when_there_is_a_problem_and_says_what_to_do(self) -> None:
        out = StringIO()

        with pytest.raises(SystemExit) as ended:
            call_command("doctor", stdout=out)

        assert ended.value.code == 1
        assert "problem  broker: 127.0.0.1:" in out.getvalue()
        assert "→ Look whether Redis runs" in out.getvalue()
        assert PASSWORD not in out.getvalue()

    def test_it_ends_with_0_when_there_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        well = [Advice.ok("a", "Fine."), Advice.warning("b", "So so.", "Look.")]
        monkeypatch.setattr("dashboard.management.commands.doctor.examine", lambda now: iter(well))
        out = StringIO()

        call_command("doctor", stdout=out)

        assert "Problems: 0. Warnings: 1." in out.getvalue()

    def test_it_tells_programs_the_same(self) -> None:
        out = StringIO()

        with pytest.raises(SystemExit):
            call_command("doctor", "--format", "json", stdout=out)

        told = json.loads(out.getvalue())
        assert told["ok"] is False
        assert {"level": "problem", "about": "broker"}.items() <= next(
            one for one in told["advice"] if one["about"] == "broker"
        ).items()
