"""docker-compose.yml without Docker: the specification's schema, what hangs together, and each command as a process.

What the pages say to type is typed, into a stand-in for Docker: tests/shipping/engine.py says what that proves.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from dashboard import env
from tests.docs_blocks import commands
from tests.rig.postgres import PostgresServer
from tests.rig.process import accepts_connections, free_port, wait_until
from tests.rig.valkey import ValkeyServer
from tests.rig.wheels import ROOT
from tests.shipping.conftest import BARE, Container
from tests.shipping.engine import StandIn
from tests.shipping.test_image import PATIENCE, _answers

FILE = ROOT / "docker-compose.yml"
OURS = {"web", "worker", "beat", "watch", "migrate", "keys", "demo", "demo-cluster"}
ONCE = {"migrate", "keys", "demo-cluster"}
#: What README.md and docs/get-started.md say to type, in their order.
DOCKER_COMMANDS = [
    command.text
    for page in ("README.md", "docs/get-started.md")
    for command in commands(page)
    if command.words[0] == "docker"
]


def _interpolated(value: str, **variables: str) -> str:
    """As compose does, from the innermost: ${NAME:-where it is not set}, ${NAME:+where it is}."""
    pattern = re.compile(r"\$\{([A-Z_]+):([-+])([^${}]*)\}")
    while match := pattern.search(value):
        name, sign, word = match.groups()
        given = variables.get(name, "")
        value = value.replace(match[0], word if bool(given) == (sign == "+") else given)
    return value


@pytest.fixture(scope="module", name="compose")
def _compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(_interpolated(FILE.read_text(encoding="utf-8")))
    return document


@pytest.fixture(scope="module", name="services")
def _services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = compose["services"]
    return services


def test_it_follows_the_compose_specification(compose: dict[str, Any], tmp_path: Path) -> None:
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    instance = tmp_path / "compose.json"
    instance.write_text(json.dumps(compose))

    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--schemafile", str(schema), str(instance)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_every_variable_has_a_default() -> None:
    assert "${" not in _interpolated(FILE.read_text(encoding="utf-8"))


def test_every_service_is_limited_and_checked(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert limits.keys() == {"cpus", "memory"}, name
        assert "healthcheck" in service, name
        assert (service["healthcheck"] == {"disable": True}) == (name in ONCE), name


def test_only_processes_that_have_to_run_with_rights(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_every_image_of_others_has_a_version(services: dict[str, dict[str, Any]]) -> None:
    images = {service["image"] for name, service in services.items() if name not in OURS}

    assert all(re.search(r":v?\d", image) for image in images), images


def test_without_the_internet_what_is_pulled_before_are_the_images_of_others(
    services: dict[str, dict[str, Any]],
) -> None:
    others = {name for name, service in services.items() if name not in OURS and "profiles" not in service}
    named = re.search(r"`docker compose pull ([^`]+)`", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"))

    assert named
    assert set(named[1].split()) == others  # of ours most have no `build`, and would be looked for in a registry


def test_who_waits_for_a_service_waits_for_something_that_comes(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            ends = services[other].get("restart") == "no"
            expected = "service_completed_successfully" if ends else "service_healthy"
            assert how["condition"] == expected, f"{name} waits for {other}"
            profiles = set(services[other].get("profiles", ()))
            assert not profiles or profiles <= set(service.get("profiles", ())), f"{other} may not be there for {name}"


def test_nothing_waits_for_itself(services: dict[str, dict[str, Any]]) -> None:
    waits = {name: set(service.get("depends_on", ())) for name, service in services.items()}
    while free := [name for name, others in waits.items() if not others & waits.keys()]:
        for name in free:
            del waits[name]

    assert not waits


def test_volumes_and_networks_are_declared(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        named = {volume.split(":")[0] for volume in service.get("volumes", ()) if not volume.startswith(("./", "/"))}
        assert named <= compose["volumes"].keys()
        assert set(service.get("networks", ())) <= compose["networks"].keys()


def test_what_keeps_data_cannot_be_reached_from_outside(compose: dict[str, Any]) -> None:
    assert compose["networks"]["inside"] == {"internal": True}
    for name in ("postgres", "redis", "demo"):
        assert compose["services"][name]["networks"] == ["inside"]
        assert "ports" not in compose["services"][name]


def test_the_database_reaches_its_password_and_no_other_key(services: dict[str, dict[str, Any]]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")

    assert services["postgres"]["user"] == "70:70"  # not root, nor the owner of the keys
    assert re.search(r"--owner 10001 --group 10001 --mode 0711 /keys$", dockerfile, re.MULTILINE)


def test_a_database_that_is_still_being_made_does_not_count_as_ready(services: dict[str, dict[str, Any]]) -> None:
    assert "--host" in services["postgres"]["healthcheck"]["test"]
    assert "--wait" in services["migrate"]["command"]


def test_only_the_front_door_is_open_to_other_machines(services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    open_to_all = {
        name for name, ports in published.items() if not all(port.startswith("127.0.0.1:") for port in ports)
    }
    assert open_to_all == {"caddy"}


def test_every_variable_is_a_setting(services: dict[str, dict[str, Any]]) -> None:
    settings = {one.name for one in env.declared()}
    given = {name.removesuffix("_FILE") for name in OURS for name in services[name].get("environment", ())}

    assert given
    assert given <= settings


def test_a_domain_is_all_that_caddy_needs(services: dict[str, dict[str, Any]]) -> None:
    with_domain = _interpolated(FILE.read_text(encoding="utf-8"), CREDBOARD_DOMAIN="credboard.example.com")
    web, without = (loaded["web"]["environment"] for loaded in (yaml.safe_load(with_domain)["services"], services))

    assert web["CREDBOARD_URL"] == web["CREDBOARD_TRUSTED_ORIGINS"] == "https://credboard.example.com"
    assert (web["CREDBOARD_ALLOWED_HOSTS"], web["CREDBOARD_HTTPS"]) == ("credboard.example.com", "true")
    # Without one it is on localhost, whose forms come from an origin that Credboard does not see by itself.
    assert without["CREDBOARD_URL"] == "http://127.0.0.1:8000"
    assert (without["CREDBOARD_ALLOWED_HOSTS"], without["CREDBOARD_HTTPS"]) == ("", "")
    assert without["CREDBOARD_TRUSTED_ORIGINS"] == "https://localhost"


@pytest.fixture(name="deployed")
def _deployed(
    image: Path, services: dict[str, dict[str, Any]], postgres: PostgresServer, valkey: ValkeyServer, tmp_path: Path
) -> Iterator[dict[str, Container]]:
    """{service: its container}, where a folder of this test stands for each volume and ports are free ones."""
    for folder in ("keys", "data", "demo", "kubeconfigs", "tmp"):
        (tmp_path / folder).mkdir()
    containers = {}
    for name in OURS:
        given = services[name].get("environment", {})
        environment = {key: _here(str(value), tmp_path) for key, value in given.items()}
        if environment:
            environment["REDIS_URL"] = valkey.url
        own = tmp_path / "tmp" / name
        own.mkdir()
        bare = {**BARE, "TMPDIR": str(own), "CREDBOARD_DATA_DIR": str(tmp_path / "data")}
        containers[name] = Container(image, own, {**bare, **environment})
    yield containers
    for container in containers.values():
        container.stop()


def _here(value: str, folder: Path) -> str:
    return re.sub(r"^/(keys|data|demo|kubeconfigs)\b", rf"{folder}/\1", value)


@pytest.mark.timeout(300)
def test_what_the_pages_say_to_type_into_docker_starts_the_whole_product(
    deployed: dict[str, Container],
    services: dict[str, dict[str, Any]],
    postgres: PostgresServer,
    tmp_path: Path,
) -> None:
    web_port, demo_port = free_port(), free_port()
    ports = {"0.0.0.0:8000": f"127.0.0.1:{web_port}", "0.0.0.0": "127.0.0.1", "6443": str(demo_port)}

    def here(word: str) -> str:
        return ports.get(word, _here(word, tmp_path)).replace("http://demo:6443", f"http://127.0.0.1:{demo_port}")

    def ready(name: str) -> None:
        if name == "keys":
            # The run's server in place of the container called postgres, which has the same name and user.
            file = tmp_path / "keys" / "database-url"
            assert re.fullmatch(r"postgres://credboard:[\w-]{40}@postgres:5432/credboard", file.read_text())
            file.unlink()
            file.write_text(postgres.new_database())
        elif name == "demo":
            wait_until(lambda: accepts_connections(demo_port), "the demo cluster answers", seconds=PATIENCE)

    engine = StandIn(services, deployed, here, ready)
    said = {}
    for command in DOCKER_COMMANDS:
        if " run " in command:
            # "Put its kubeconfig into ./kubeconfigs", says the page.
            shutil.copy(tmp_path / "demo" / "kubeconfig", tmp_path / "kubeconfigs" / "reader.kubeconfig")
        said[command] = engine.run(command)
    engine.run("docker compose --profile watch up --detach")

    wait_until(lambda: _answers(web_port, "/readyz"), "the web is ready", seconds=PATIENCE)
    for name in ("worker", "beat", "watch"):
        wait_until(lambda name=name: deployed[name].is_alive(name), f"{name} turns", seconds=PATIENCE)  # type: ignore[misc]
    database = (tmp_path / "keys" / "database-url").read_text()
    wait_until(lambda: _is_scanned(database), "a scan ends", seconds=PATIENCE)
    assert {*engine.started} == OURS
    assert engine.pushed == engine.built
    assert "demo is scanned every 60 s" in engine.logs["demo-cluster"]
    assert "one-time password" in said["docker compose logs migrate"]
    added = "docker compose run --rm web cluster prod --kubeconfig /kubeconfigs/reader.kubeconfig"
    assert "prod is scanned every 60 s" in said[added]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("docker compose up", "goes on for ever"),
        ("docker compose --profile demos up --detach", "no such profile"),
        ("docker compose logs migrations", "no such service"),
        ("docker push registry.example.com/credboard:0.2.0", "never built"),
        ("docker compose start web", "a verb that the pages do not use"),
    ],
)
def test_the_stand_in_does_not_take_whatever_is_typed(
    services: dict[str, dict[str, Any]], command: str, why: str
) -> None:
    engine = StandIn(services, {}, str, print)

    with pytest.raises((AssertionError, SystemExit, KeyError)):
        engine.run(command)


def _is_scanned(database: str) -> bool:
    with psycopg.connect(database) as connection:
        return connection.execute("SELECT FROM scanner_scan WHERE state = 'done'").fetchone() is not None
