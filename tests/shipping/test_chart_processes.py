"""What the chart's Pods run, run: the migration, the web with its probes, the script of `helm test`, as processes.

Each gets the arguments and the plain variables that the chart renders for it, but for those that name other machines.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.message import Message
from pathlib import Path

import pytest

from tests.rig.postgres import PostgresServer
from tests.rig.process import ServerProcess, free_port
from tests.rig.wheels import ROOT
from tests.shipping import chart
from tests.shipping.chart import KUBEFLOW, TRIAL, Json, Values
from tests.shipping.conftest import Container

#: What stands for another machine in the variables of the chart.
ELSEWHERE = {"DATABASE_URL", "REDIS_URL"}


def in_pod(container: Container, rendered: Json) -> None:
    """Give the container what the chart gives that one."""
    told = {name: value for name, value in chart.environment(rendered).items() if name not in ELSEWHERE}
    container.environment = {**container.environment, **told}


def answer(url: str, headers: Mapping[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers)), timeout=60) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def probe(rendered: Json, name: str, port: int) -> int:
    """What the kubelet gets: it asks the address of the Pod, with the headers of the probe."""
    asked = rendered[name]["httpGet"]
    headers = {one["name"]: one["value"] for one in asked.get("httpHeaders", ())}
    return answer(f"http://127.0.0.1:{port}{asked['path']}", headers)


def helm_test(container: Container, pod: Json, base: str) -> subprocess.CompletedProcess[str]:
    (one,) = pod["spec"]["containers"]
    python = str(container.image / "venv" / "bin" / "python")
    command = [python, *one["command"][1:], *one["args"]]
    environment = {"PATH": "/usr/bin:/bin", **chart.environment(one), "BASE": base}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("values", [TRIAL, KUBEFLOW], ids=["trial", "kubeflow"])
def test_the_web_of_the_chart_passes_its_probes_and_helm_test(container: Container, values: Values) -> None:
    documents = chart.render(values)
    rendered = chart.named(documents, "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]
    pod = chart.named(documents, "Pod", "-test-ready")
    (test,) = pod["spec"]["containers"]
    in_pod(container, rendered)
    migrate = next(
        one
        for template in chart.pod_templates(documents).values()
        for one in (*template["spec"].get("initContainers", ()), *template["spec"]["containers"])
        if one["name"] == "migrate"
    )
    port = free_port()
    base = f"http://127.0.0.1:{port}{values.get('pathPrefix', '')}"

    refused = helm_test(container, pod, base)
    assert refused.returncode != 0
    assert "readyz: " in refused.stderr
    assert "Traceback" not in refused.stderr

    # The hook runs before the keys of the release are made.
    with_keys = container.environment
    container.environment = {name: value for name, value in with_keys.items() if "_KEY" not in name}
    printed = container.run(*migrate["args"])
    container.environment = with_keys
    assert "one-time" in printed, "NOTES.txt tells people to look for this word"
    assert "in-cluster" in printed
    assert "in-cluster" in container.run("cluster"), "who has the keys can read what was written without them"

    args = [f"--bind=127.0.0.1:{port}" if one.startswith("--bind") else one for one in rendered["args"]]
    web: ServerProcess = container.start(*args)
    web.wait_until_ready(lambda: probe(rendered, "startupProbe", port) == 200)
    assert probe(rendered, "livenessProbe", port) == 200
    assert probe(rendered, "readinessProbe", port) == 200
    passed = helm_test(container, pod, base)
    assert (passed.returncode, passed.stderr) == (0, "")
    assert passed.stdout.splitlines() == [f"{page}: 200" for page in chart.environment(test)["PAGES"].split()]
    if values is KUBEFLOW:
        believes_the_sidecar_alone(port)
        keeps_to_its_path(port)


#: From where Istio's sidecar hands on what came through the gateway.
SIDECAR = "127.0.0.6"


def ask(port: int, path: str, *, source: str = SIDECAR, **headers: str) -> tuple[int, Message, str]:
    """(status, headers, body), without following a redirect."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(source, 0))
    connection.request("GET", path, headers={"Host": "kubeflow.example.com", "X-Forwarded-Proto": "https", **headers})
    response = connection.getresponse()
    body = response.read().decode(errors="replace")
    connection.close()
    return response.status, response.headers, body


def believes_the_sidecar_alone(port: int) -> None:
    ada = {"kubeflow-userid": "ada@example.com"}
    status, _, page = ask(port, "/credboard/", **ada)
    assert (status, "ada@example.com" in page) == (200, True)
    for source, headers in ((SIDECAR, {}), ("127.0.0.1", ada)):
        status, answered, _ = ask(port, "/credboard/", source=source, **headers)
        assert (status, answered["Location"]) == (302, "/credboard/sign-in/?next=/credboard/")


def keeps_to_its_path(port: int) -> None:
    """Others share the host, such as notebooks that people run. They get no cookie of ours, and no link leads there."""
    for path in ("/credboard/", "/credboard/expiry/", "/credboard/settings/api-keys/"):
        status, answered, page = ask(port, path, **{"kubeflow-userid": "ada@example.com"})
        assert status == 200, path
        links = set(re.findall(r'(?:href|src|action|hx-get|hx-post)="(/[^"]*)"', page))
        assert links
        assert all(link.startswith("/credboard/") for link in links), links
        for cookie in answered.get_all("Set-Cookie", ()):
            assert cookie.startswith("credboard_"), "other programs have a csrftoken, too"
            assert "Path=/credboard;" in f"{cookie};", "with a slash at its end /credboard itself would not get it"
            assert "Secure" in cookie
    assert ask(port, "/credboard/sign-in/")[1]["Set-Cookie"].startswith("credboard_csrf")
    static = [link for link in links if "/static/" in link]
    assert static
    assert {ask(port, link)[0] for link in static} == {200}


def test_two_migrations_at_once_make_one_database_and_one_operator(postgres: PostgresServer, tmp_path: Path) -> None:
    """As the Pods of a trial, or two upgrades, start them."""
    pod = chart.named(chart.render(), "Deployment", "-web")["spec"]["template"]["spec"]
    (migrate,) = pod["initContainers"]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CREDBOARD_")},
        **{name: value for name, value in chart.environment(migrate).items() if name not in ELSEWHERE},
        "DATABASE_URL": postgres.new_database(),
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "CREDBOARD_DATA_DIR": str(tmp_path),
    }
    command = [sys.executable, "manage.py", *migrate["args"]]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True) for _ in "ab"]
    told = [one.communicate() for one in both]

    assert [one.returncode for one in both] == [0, 0], told
    printed = [out for out, _ in told]
    assert sorted("one-time" in out for out in printed) == [False, True]
    assert sorted("No migrations to apply" in out for out in printed) == [False, True]


def test_helm_test_fails_on_a_web_whose_database_was_not_migrated(container: Container) -> None:
    documents = chart.render(TRIAL)
    rendered = chart.named(documents, "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]
    in_pod(container, rendered)
    port = free_port()
    web = container.start("start", "web", f"--bind=127.0.0.1:{port}")
    web.wait_until_ready(lambda: probe(rendered, "livenessProbe", port) == 200)

    assert probe(rendered, "readinessProbe", port) == 503
    failed = helm_test(container, chart.named(documents, "Pod", "-test-ready"), f"http://127.0.0.1:{port}")
    assert failed.returncode != 0
    assert "503, not 200; see the logs of the web" in failed.stderr


def test_the_probes_of_worker_and_beat_are_commands_that_are_there(container: Container) -> None:
    documents = chart.render(TRIAL)
    for role in ("worker", "beat"):
        rendered = chart.named(documents, "Deployment", f"-{role}")["spec"]["template"]["spec"]["containers"][0]
        command = rendered["livenessProbe"]["exec"]["command"]
        assert command == ["python", "-m", "dashboard.alive", role]
        assert not container.is_alive(role), "it was not started"
