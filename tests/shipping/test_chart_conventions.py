"""What people who run many charts expect of one: names, labels, mirrors, places, and Pods that any cluster lets in."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest

from tests.shipping import chart
from tests.shipping.chart import EVERYTHING, EXTERNAL, KUBEFLOW, MATRIX, MONITORING, OPENSHIFT, TRIAL, Json, Values
from tests.shipping.chart_readme import CHART

WITH_PROXY = {
    **EXTERNAL,
    "extraInitContainers": EVERYTHING["extraInitContainers"],
    "networkPolicy": {"extraEgress": [{"ports": [{"port": 3307}]}]},
}
LONG = "a-release-with-quite-the-longest-name-that-helm-takes"


def containers(documents: list[Json]) -> list[Json]:
    specs = [pod["spec"] for pod in chart.pod_templates(documents).values()]
    return [one for spec in specs for one in (*spec.get("initContainers", ()), *spec["containers"])]


def web(values: Values) -> Json:
    documents = chart.render(values)
    return chart.named(documents, "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]


# -- names and labels --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", [LONG, "1st", "v1.2", "credboard", "x"])
def test_names_are_valid_whatever_the_release_is_called(release: str) -> None:
    documents = chart.render(EVERYTHING, release=release)
    for one in documents:
        name = one["metadata"]["name"]
        assert chart.is_of_cluster(one) or re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])", name), name
    database = chart.named(documents, "StatefulSet")["metadata"]["name"]
    assert len(f"{database}-0123456789") <= 63, "with the hash of its revision it is the value of a label"


#: What YAML takes for something else than a text, and Kubernetes for a name.
ODD = ("123", "null", "true", "0x1f")


def test_names_that_look_like_numbers_stay_names() -> None:
    """Or a Role for the Namespace "null" would be made in that of the release, and one for "0x1f" in "31"."""
    values = {
        "nameOverride": "null",
        "fullnameOverride": "true",
        "priorityClassName": "123",
        "keys": {"existingSecret": "0x1f"},
        "secretSettings": {"CREDBOARD_SMTP_PASSWORD": {"name": "123", "key": "true"}},
        "postgresql": {"enabled": True, "existingSecret": "123", "storageClass": "123"},
        "valkey": {"existingSecret": "123"},
        "worker": {"autoscaling": {"enabled": True, "by": "keda", "keda": {"namespace": "123"}}},
        "rbac": {"mode": "namespaces", "namespaces": ODD},
        "ingress": {"enabled": True, "className": "123"},
        "gateway": {"enabled": True, "parentRefs": [{"name": "123"}]},
        "istio": {"enabled": True},
        "metrics": {**MONITORING, "serviceMonitor": {"enabled": True, "tokenSecret": {"name": "123", "key": "123"}}},
    }
    documents = chart.render(values, release="null", namespace="123")
    assert {one["metadata"]["namespace"] for one in chart.of_kind(documents, "Role")} == set(ODD)

    def texts(part: Json) -> None:
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            if isinstance(value, dict | list):
                texts(value)
            elif key in {"name", "namespace", "key", "host"} or str(key).endswith(("Name", "/name")):
                assert isinstance(value, str), (key, value)

    texts(documents)


def test_long_names_that_differ_only_at_their_end_stay_apart() -> None:
    names = [{one["metadata"]["name"] for one in chart.render(release=f"{LONG[:-1]}{end}")} for end in "xy"]
    assert not names[0] & names[1]


@pytest.mark.parametrize("name", ["trial", "namespaces", "impersonation", "watch"])
def test_releases_of_other_namespaces_never_share_an_object(name: str) -> None:
    def objects(release: str, namespace: str) -> set[tuple[str, str, str]]:
        documents = chart.render(MATRIX[name], release=release, namespace=namespace)
        return {(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]) for one in documents}

    assert not objects("c", "a-b") & objects("b-c", "a")
    assert not objects("credboard", "a") & objects("credboard", "b")


def test_everything_is_named_after_the_name_that_is_given() -> None:
    documents = chart.render(MATRIX["other names"])
    for one in documents:
        assert re.match(r"(ops:)?health-of-credentials", one["metadata"]["name"]), one["metadata"]["name"]
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "cb"
    told = chart.environment(web(MATRIX["other names"]))
    assert "@health-of-credentials-valkey:6379" in told["REDIS_URL"]
    assert "@health-of-credentials-postgresql:5432" in told["DATABASE_URL"]


def test_two_releases_in_one_namespace_share_nothing() -> None:
    first, second = chart.render(EVERYTHING), chart.render(EVERYTHING, release="second")
    names = [{(one["kind"], one["metadata"]["name"]) for one in documents} for documents in (first, second)]
    assert not names[0] & names[1]
    others = [pod["metadata"]["labels"] for pod in chart.pod_templates(second).values()]
    for one in chart.of_kind(first, "Service", "Deployment", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy"):
        spec = one["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        wanted = selector.get("matchLabels", selector)
        assert not [labels for labels in others if wanted.items() <= labels.items()], one["metadata"]["name"]


def test_common_labels_are_on_everything_and_choose_nothing() -> None:
    documents = chart.render(EVERYTHING)
    pods = [pod["metadata"] for pod in chart.pod_templates(documents).values()]
    for metadata in (*pods, *(one["metadata"] for one in documents)):
        assert metadata["labels"]["team"] == "platform"
    for one in chart.of_kind(documents, "Deployment", "StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy"):
        assert "team" not in json.dumps(one["spec"].get("selector", {})), "selectors are for ever"
    (claim,) = chart.named(documents, "StatefulSet")["spec"]["volumeClaimTemplates"]
    assert "labels" not in claim["metadata"], "an upgrade may not change them"


def test_labels_for_prometheus_win_over_common_ones() -> None:
    values = {**TRIAL, "commonLabels": {"release": "x"}, "metrics": MONITORING}
    done = chart.run("template", "c", CHART, "--show-only", "templates/monitoring.yaml", values=values)
    assert (done.stdout.count(" release: prometheus\n"), done.stdout.count(" release: x\n")) == (2, 1)


def test_nothing_that_cannot_be_changed_holds_the_version_of_the_chart() -> None:
    for one in chart.of_kind(chart.render(EVERYTHING), "Deployment", "StatefulSet"):
        fixed = [one["spec"]["selector"], one["spec"].get("volumeClaimTemplates")]
        assert "version" not in json.dumps(fixed)
        assert "helm.sh" not in json.dumps(fixed)


# -- images ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "mirrored"),
    [
        ("docker.io/library/postgres:17", "m.example.com/all/library/postgres:17"),
        ("registry.example.com:5000/a/b:1", "m.example.com/all/a/b:1"),
        ("localhost/a:1", "m.example.com/all/a:1"),
        ("team/postgres:17.1", "m.example.com/all/team/postgres:17.1"),
        ("postgres:17.1", "m.example.com/all/postgres:17.1"),
        (f"quay.io/a/b@sha256:{'0' * 64}", f"m.example.com/all/a/b@sha256:{'0' * 64}"),
    ],
)
def test_a_mirror_takes_the_place_of_the_registry_of_each_image(image: str, mirrored: str) -> None:
    values = {"postgresql": {"enabled": True, "image": image}, "global": {"imageRegistry": "m.example.com/all"}}
    database = chart.named(chart.render(values), "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    assert database["image"] == mirrored


def test_images_of_others_name_their_registry() -> None:
    images = {one["image"] for one in containers(chart.render()) if not one["image"].startswith("credboard:")}
    assert images
    assert all(image.startswith("docker.io/") for image in images), "a short name is refused by some runtimes"


def test_every_pod_has_the_pull_secrets_once() -> None:
    for name, pod in chart.pod_templates(chart.render(EVERYTHING)).items():
        assert [one["name"] for one in pod["spec"]["imagePullSecrets"]] == ["regcred", "mirror"], name


# -- what a Pod is made of ---------------------------------------------------------------------------------------------


def test_every_pod_has_the_priority_class() -> None:
    for name, pod in chart.pod_templates(chart.render(EVERYTHING)).items():
        assert pod["spec"]["priorityClassName"] == "system-cluster-critical", name


@pytest.mark.parametrize("values", [EVERYTHING, WITH_PROXY])
def test_what_a_sidecar_brings_is_there_before_the_migration(values: Values) -> None:
    for name, pod in chart.pod_templates(chart.render(values)).items():
        if not name.endswith(("-valkey", "-postgresql", "-test-ready")):
            order = [one["name"] for one in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])]
            assert order[0] == "proxy", name


def test_a_sidecar_gets_out_of_every_pod_that_it_is_in() -> None:
    documents = chart.render(WITH_PROXY)
    policies = {one["metadata"]["name"]: one["spec"]["egress"] for one in chart.of_kind(documents, "NetworkPolicy")}
    for name, pod in chart.pod_templates(documents).items():
        if "initContainers" in pod["spec"]:
            assert {"ports": [{"port": 3307}]} in policies[name], name


def test_service_accounts_take_a_role_of_a_cloud() -> None:
    accounts = chart.of_kind(chart.render(EVERYTHING), "ServiceAccount")
    annotated = {one["metadata"]["name"] for one in accounts if "annotations" in one["metadata"]}
    assert annotated == {"credboard-web", "credboard-worker"}


def test_a_cluster_that_chooses_ids_is_told_none() -> None:
    for name, pod in chart.pod_templates(chart.render(OPENSHIFT)).items():
        told = pod["spec"]["securityContext"]
        assert not told.keys() & {"runAsUser", "runAsGroup", "fsGroup"}, name
        assert told["runAsNonRoot"] is True


def test_every_pod_resolves_names_where_dns_listens_on_another_port() -> None:
    for policy in chart.of_kind(chart.render(EXTERNAL), "NetworkPolicy"):
        ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        assert {53, 5353} <= ports, policy["metadata"]["name"]


def test_where_addresses_are_of_the_other_family_the_web_listens_there() -> None:
    assert "--bind=0.0.0.0:8000" in web(TRIAL)["args"]
    assert "--bind=[::]:8000" in web({**TRIAL, "web": {"bindAddress": "[::]"}})["args"]


def test_every_probe_is_patient_with_a_busy_node() -> None:
    for container in containers(chart.render(MATRIX["watch"])):
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container.get(name)
            if asked and "tcpSocket" not in asked:
                assert asked.get("timeoutSeconds", 1) >= 5, f"{container['name']}: {name}"


def test_what_is_not_ready_holds_up_no_drain() -> None:
    budgets = chart.of_kind(chart.render(MATRIX["single pods"]), "PodDisruptionBudget")
    assert len(budgets) == 2
    for one in budgets:
        assert one["spec"]["maxUnavailable"] == 1
        assert one["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_web_has_time_to_answer_what_it_began() -> None:
    pod = chart.named(chart.render(), "Deployment", "-web")["spec"]["template"]["spec"]
    waits = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert pod["terminationGracePeriodSeconds"] > waits + 30, "gunicorn answers for 30 seconds more"


# -- hosts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [["other.example.com", "*.example.org"], "other.example.com, *.example.org"])
def test_hosts_of_ones_own_are_answered_beside_those_that_probes_ask_for(more: Any) -> None:
    hosts = chart.environment(web({**TRIAL, "settings": {"CREDBOARD_ALLOWED_HOSTS": more}}))["CREDBOARD_ALLOWED_HOSTS"]
    assert {"other.example.com", ".example.org", "localhost", "credboard.example.com"} <= set(hosts.split(","))


def test_it_answers_under_the_host_of_its_url_however_that_is_written() -> None:
    hosts = chart.environment(web({**TRIAL, "url": "http://[2001:DB8::1]:8080/"}))["CREDBOARD_ALLOWED_HOSTS"]
    assert hosts.split(",")[0] == "[2001:db8::1]"


def test_an_ingress_leads_from_the_host_of_the_url_unless_others_are_named() -> None:
    def hosts(**ingress: Any) -> list[str]:
        values = {**TRIAL, "url": "https://health.example.com:8443", "ingress": {"enabled": True, **ingress}}
        return [rule["host"] for rule in chart.named(chart.render(values), "Ingress")["spec"]["rules"]]

    assert hosts() == ["health.example.com"]
    assert hosts(hosts=["a.example.com", "b.example.com"]) == ["a.example.com", "b.example.com"]


# -- the mesh ----------------------------------------------------------------------------------------------------------


def test_behind_the_gateway_others_may_ask_whether_it_is_ready_and_nothing_else() -> None:
    documents = chart.render(KUBEFLOW)
    gateway, anybody = chart.named(documents, "AuthorizationPolicy")["spec"]["rules"]
    assert gateway.keys() == {"from"}
    assert anybody == {"to": [{"operation": {"methods": ["GET"], "paths": ["/credboard/readyz"]}}]}
    (test,) = chart.named(documents, "Pod", "-test-ready")["spec"]["containers"]
    told = chart.environment(test)
    assert told["BASE"].endswith("/credboard")
    assert told["PAGES"] == "/readyz"


def test_the_test_pod_gets_the_sidecar_that_the_migration_gets() -> None:
    labels = {"sidecar.istio.io/inject": "false"}
    documents = chart.render({**KUBEFLOW, "migrate": {"podLabels": labels}})
    pods = chart.pod_templates(documents)
    for name in ("credboard-migrate", "credboard-test-ready"):
        assert labels.items() <= pods[name]["metadata"]["labels"].items()


def test_the_route_of_the_mesh_knows_no_domain_of_the_cluster() -> None:
    route = chart.named(chart.render(KUBEFLOW), "VirtualService")["spec"]["http"][-1]["route"]
    assert route == [{"destination": {"host": "credboard", "port": {"number": 80}}}]


# -- rendered without a cluster ----------------------------------------------------------------------------------------


def test_with_secrets_of_ones_own_every_rendering_is_the_same() -> None:
    values = {**KUBEFLOW, "keys": {"existingSecret": "keys"}}
    arguments = ("template", "credboard", CHART)
    first, second = (chart.run(*arguments, values=values).stdout for _ in range(2))
    assert first
    assert first == second
    assert "kind: Secret" not in first


def test_a_secret_that_is_made_once_is_left_out_by_who_would_make_it_at_every_sync() -> None:
    made = chart.of_kind(chart.render(EVERYTHING), "Secret")
    assert len(made) == 3
    for one in made:
        assert one["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "Skip", one["metadata"]["name"]


def test_made_passwords_fit_into_an_address() -> None:
    for one in chart.of_kind(chart.render(), "Secret"):
        if "password" in one["data"]:
            assert re.fullmatch(r"[A-Za-z0-9]{40}", base64.b64decode(one["data"]["password"]).decode())
