from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from kombu import Connection
from kombu.exceptions import OperationalError

from dashboard import env
from tests.rig.certificates import CertificateAuthority

NAME = "CREDBOARD_TEST"
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.delenv(f"{NAME}_FILE", raising=False)


def read_integer() -> int:
    return env.integer(NAME, 60, minimum=5, maximum=100)


def read_hosts() -> tuple[str, ...]:
    return env.hosts(NAME, about="")


def read_origins() -> tuple[str, ...]:
    return env.origins(NAME, about="")


def read_header() -> str:
    return env.header(NAME, "kubeflow-userid", about="")


def read_prefix() -> str:
    return env.path_prefix(NAME, about="")


def read_host() -> str:
    return env.host(NAME, about="")


def read_folder() -> Path:
    return env.folder(NAME, "data", about="")


def test_what_is_not_set_or_empty_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        assert (env.text(NAME, "x"), env.boolean(NAME, True), read_integer()) == ("x", True, 60)
        assert (env.words(NAME, ("a",)), env.networks(NAME)) == (("a",), ())
        monkeypatch.setenv(NAME, "  ")


@pytest.mark.parametrize(
    ("read", "value", "meaning"),
    [
        (lambda: env.text(NAME), " hello \n", "hello"),
        (lambda: env.boolean(NAME, False), "Yes", True),
        (lambda: env.boolean(NAME, True), "off", False),
        (read_integer, "5", 5),
        (lambda: env.words(NAME), "a, b\tc,,", ("a", "b", "c")),
        (lambda: env.networks(NAME), "10.0.0.0/8 ::1", tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "::1")))),
        (read_hosts, "*, .example.com [::1] web_1", ("*", ".example.com", "[::1]", "web_1")),
        (
            read_origins,
            "https://a.example.com:8443 http://*.example.com",
            ("https://a.example.com:8443", "http://*.example.com"),
        ),
        (read_header, "X-Auth-Request-Email", "X-Auth-Request-Email"),
        (read_prefix, "/tools/credboard/", "/tools/credboard"),
        (read_prefix, "/", ""),
        (read_host, "mail.example.com", "mail.example.com"),
        (read_host, "fd00::25", "fd00::25"),
        (read_folder, "some/where", Path.cwd() / "some" / "where"),
        (read_folder, "~/credboard", Path.home() / "credboard"),
    ],
)
def test_a_value_is_read(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], value: str, meaning: object
) -> None:
    monkeypatch.setenv(NAME, value)
    assert read() == meaning


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (lambda: env.boolean(NAME, False), "maybe", "CREDBOARD_TEST='maybe' is not a boolean; use true or false"),
        (read_integer, "ten", "CREDBOARD_TEST='ten' is not a whole number"),
        (read_integer, "4", "CREDBOARD_TEST=4 is not between 5 and 100"),
        (read_integer, "101", "CREDBOARD_TEST=101 is not between 5 and 100"),
        (read_integer, "6_0", "CREDBOARD_TEST='6_0' is not a whole number"),
        (read_integer, "٦٠", "is not a whole number"),
        (read_integer, "9" * 5_000, f"CREDBOARD_TEST='{'9' * 79}…' is not a whole number; use"),
        (lambda: env.networks(NAME), "10.0.0.0/8 home", "'home' is not an IP range such as 10.0.0.0/8"),
        (read_hosts, "https://credboard.example.com", "without scheme and port"),
        (read_hosts, "a.example.com b.example.com:8443", "CREDBOARD_TEST: 'b.example.com:8443' is not a host name"),
        (read_hosts, "*.example.com", "or .example.com for all below it"),
        (read_origins, "credboard.example.com", "write https://credboard.example.com"),
        (read_origins, "https://credboard.example.com/credboard", "without a path"),
        (read_origins, "https://*", "'https://*' is not an origin"),
        (read_header, "X_USER", "CREDBOARD_TEST='X_USER' is not the name of a header"),
        (read_header, "x-user: ada", "is not the name of a header"),
        (read_prefix, "credboard", "is not a path such as /credboard"),
        (read_prefix, "//elsewhere.example.com", "is not a path such as /credboard"),
        (read_prefix, "/cred?board", "is not a path such as /credboard"),
        (read_host, "smtp://mail.example.com", "write one without scheme and port"),
        (read_host, "mail.example.com:25", "write one without scheme and port"),
        (lambda: env.policy(NAME), "/nowhere/policy.yaml", "FileNotFoundError; name a text file"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_and_what_it_should_be(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[], object], value: str, words: str
) -> None:
    monkeypatch.setenv(NAME, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        read()
    assert words in str(refused.value)
    assert NAME in str(refused.value)


@pytest.mark.parametrize("content", ["s3cr3t", "s3cr3t\n", "\ufeffs3cr3t\r\n"], ids=["bare", "line", "windows"])
def test_a_value_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str) -> None:
    path = tmp_path / "value"
    path.write_text(content, encoding="utf-8", newline="")
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    assert env.text(NAME, "default") == "s3cr3t"


def test_a_value_and_a_file_are_one_too_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(NAME, "s3cr3t")
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "value"))
    with pytest.raises(ImproperlyConfigured, match="CREDBOARD_TEST and CREDBOARD_TEST_FILE are both set") as refused:
        env.text(NAME)
    assert "s3cr3t" not in str(refused.value)


@pytest.mark.parametrize("content", [None, b"\xff s3cr3t"], ids=["not there", "not text"])
def test_a_file_that_cannot_be_read_is_named_and_its_content_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "value"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    with pytest.raises(ImproperlyConfigured) as refused:
        env.text(NAME)
    assert f"CREDBOARD_TEST_FILE={path} cannot be read" in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_a_value_that_was_set_as_the_name_of_its_file_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{NAME}_FILE", "postgres://credboard:hunter2@db/credboard")
    with pytest.raises(ImproperlyConfigured, match="CREDBOARD_TEST_FILE cannot be read") as refused:
        env.secret(NAME)
    assert "hunter2" not in str(refused.value)


def test_a_setting_that_is_a_path_has_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.unknown(["CREDBOARD_POLICY_FILE_FILE", "CREDBOARD_POLICY_FILE", "CREDBOARD_SECRET_KEY_FILE"]) == {
        "CREDBOARD_POLICY_FILE_FILE": "CREDBOARD_POLICY_FILE"
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("postgres://credboard:hunter2@db/", "names no database; write postgres://USER:PASSWORD@HOST:5432/DATABASE"),
        ("postgres://credboard:hunt/er2@db/x", "percent-encoded"),
        ("redis://:hunter2@db:6379/celery", "must end with the number of a database: redis://HOST:6379/0"),
        ("redis://:hunter2@db:6379/-1", "must end with the number of a database"),
    ],
)
def test_an_address_that_no_client_could_use_is_refused_unseen(
    monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    monkeypatch.setenv(NAME, value)
    with pytest.raises(ImproperlyConfigured) as refused:
        env.url(NAME, "redis://x", schemes=("redis", "postgres"))
    assert words in str(refused.value)
    assert "er2" not in str(refused.value)


def test_a_broker_that_is_asked_over_tls_has_to_prove_who_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pair = CertificateAuthority(tmp_path).server("broker")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    told: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv(NAME, f"rediss://:hunter2@127.0.0.1:{listener.getsockname()[1]}/0")
        listener.settimeout(30)

        def answer() -> None:
            raw, _ = listener.accept()
            with raw, suppress(OSError), context.wrap_socket(raw, server_side=True) as taken:
                told.append(taken.recv(100))

        server = threading.Thread(target=answer)
        server.start()
        address = env.url(NAME, "", schemes=("rediss",))
        with pytest.raises(OperationalError, match="certificate verify failed"):
            Connection(
                address, transport_options={"socket_timeout": 20, "max_retries": 0}
            ).default_channel.client.ping()
        server.join()

    assert told == []


@pytest.mark.parametrize("query", ["ssl_cert_reqs=none", "ssl_ca_certs=/run/ca.pem&ssl_cert_reqs=required"])
def test_what_an_address_says_of_certificates_stays(monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setenv(NAME, f"rediss://broker:6379/0?{query}")
    assert env.url(NAME, "", schemes=("rediss",)) == f"rediss://broker:6379/0?{query}"


def test_an_empty_file_is_no_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "value"
    path.write_text("\n")
    monkeypatch.setenv(f"{NAME}_FILE", str(path))
    with pytest.raises(ImproperlyConfigured, match="is an empty file"):
        env.secret(NAME)


@pytest.mark.parametrize(
    "reader", [env.secret, lambda name: env.url(name, "redis://x", schemes=("redis",)), env.secrets]
)
def test_what_may_hold_a_secret_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, reader: Callable[[str], object]
) -> None:
    monkeypatch.setenv(NAME, "http://hunter2:x")
    try:
        reader(NAME)
    except ImproperlyConfigured as refused:
        assert "hunter2" not in str(refused)  # noqa: PT017 (some of them have nothing to refuse)


def test_former_keys_are_divided_by_white_space_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, " a,b\nc%d ")
    assert env.secrets(NAME) == ("a,b", "c%d")


def test_a_choice_is_taken_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "JSON")
    assert env.choice(NAME, "line", ("line", "json")) == "json"
    monkeypatch.setenv(NAME, "xml")
    with pytest.raises(ImproperlyConfigured, match="CREDBOARD_TEST='xml' must be one of line, json"):
        env.choice(NAME, "line", ("line", "json"))


class TestDeclared:
    def test_every_variable_that_the_settings_read_is_declared_with_its_purpose(self) -> None:
        source = "".join(
            path.read_text(encoding="utf-8")
            for path in Path(env.__file__).parent.rglob("*.py")
            if path.name != "env.py"
        )
        read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
        known = {one.name: one for one in env.declared()}

        assert {"CREDBOARD_SECRET_KEY", "DATABASE_URL"} <= read <= known.keys()
        assert [one.name for one in known.values() if len(one.about) < 15 or not one.section] == []

    def test_the_page_is_what_the_settings_say(self) -> None:
        done = subprocess.run(
            [sys.executable, "manage.py", "settingsdocs", "--check"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "DATABASE_URL": "sqlite://:memory:"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def test_the_page_holds_no_value_of_this_machine(self) -> None:
        page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
        assert str(ROOT) not in page
        assert "hunter2" not in page

    def test_the_first_declaration_of_a_name_counts(self) -> None:
        (before,) = [one for one in env.declared() if one.name == "CREDBOARD_LOG_LEVEL"]
        env.text("CREDBOARD_LOG_LEVEL", about="something else")
        assert before in env.declared()
