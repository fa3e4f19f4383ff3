"""The chart as helm renders it: what each value does, and which values are refused, by name."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from dashboard import env
from tests.shipping import chart
from tests.shipping.chart import EVERYTHING, EXTERNAL, KUBEFLOW, LARGE, MATRIX, TRIAL, Json, Values
from tests.shipping.chart_readme import CHART, readme

#: Defaults that say nothing: null says the same.
EMPTY: list[Json] = ["", [], {}, None]
#: Where null lets Kubernetes choose.
MAY_BE_NULL = {"resources", "podSecurityContext"}


def containers(documents: list[Json]) -> list[Json]:
    specs = [pod["spec"] for pod in chart.pod_templates(documents).values()]
    return [one for spec in specs for one in (*spec.get("initContainers", ()), *spec["containers"])]


def web(values: Values, **options: Any) -> Json:
    documents = chart.render(values, **options)
    return chart.named(documents, "Deployment", "-web")["spec"]["template"]["spec"]["containers"][0]


def reaches(policy: Json) -> dict[int | str, list[Json]]:
    """port -> to whom, [] for everybody, of what a NetworkPolicy lets out."""
    return {port["port"]: rule.get("to", []) for rule in policy["spec"]["egress"] for port in rule["ports"]}


# -- every combination -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MATRIX)
def test_helm_lints_every_combination_without_a_word(name: str) -> None:
    done = chart.run("lint", "--strict", "--quiet", CHART, values=MATRIX[name])
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize("name", MATRIX)
def test_every_combination_renders_whole_objects(name: str) -> None:
    documents = chart.render(MATRIX[name])
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in documents]
    assert len(set(names)) == len(names), "each object is rendered once"
    for one in documents:
        assert chart.is_of_cluster(one) != ("namespace" in one["metadata"]), one["metadata"]
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "credboard"
    for container in containers(documents):
        variables = [one["name"] for one in container.get("env", ())]
        assert len(set(variables)) == len(variables), f"{container['name']} has a variable twice"
        assert container["resources"]["requests"]["memory"]
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", MATRIX)
def test_what_an_object_refers_to_is_rendered_or_named_by_a_value(name: str) -> None:
    documents = chart.render(MATRIX[name])
    there = {(one["kind"], one["metadata"]["name"]) for one in documents}
    given = json.dumps(MATRIX[name])
    for pod in chart.pod_templates(documents).values():
        for volume in pod["spec"].get("volumes", ()):
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there or volume["configMap"]["name"] in given
        account = pod["spec"].get("serviceAccountName", "default")
        assert account == "default" or ("ServiceAccount", account) in there
    for container in containers(documents):
        for one in container.get("env", ()):
            secret = one.get("valueFrom", {}).get("secretKeyRef")
            assert not secret or ("Secret", secret["name"]) in there or f'"{secret["name"]}"' in given, secret
    for binding in chart.of_kind(documents, "RoleBinding", "ClusterRoleBinding"):
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in there
        assert all((subject["kind"], subject["name"]) in there for subject in binding["subjects"])
    for scaler in chart.of_kind(documents, "HorizontalPodAutoscaler", "ScaledObject"):
        assert ("Deployment", scaler["spec"]["scaleTargetRef"]["name"]) in there
        assert "replicas" not in chart.named(documents, "Deployment", scaler["metadata"]["name"])["spec"]


@pytest.mark.parametrize("name", MATRIX)
def test_before_a_release_is_there_its_hooks_need_nothing_of_it(name: str) -> None:
    documents = chart.render(MATRIX[name])
    before = [
        one for one in documents if "pre-install" in one["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    ]
    later = {
        one["metadata"]["name"] for one in documents if one not in before and one["kind"] in {"Secret", "ConfigMap"}
    }
    for container in containers(before):
        for variable in container["env"]:
            assert variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name") not in later


@pytest.mark.parametrize("name", MATRIX)
def test_every_variable_is_a_setting(name: str) -> None:
    for container in containers(chart.render(MATRIX[name])):
        names = [one["name"] for one in container.get("env", ()) if container["name"] in {"web", "worker", "beat"}]
        assert env.unknown(names) == {}


# -- what single values do ---------------------------------------------------------------------------------------------


def test_the_keys_are_kept_and_of_use() -> None:
    keys = chart.named(chart.render(), "Secret", "-keys")
    told = keys["metadata"]["annotations"]
    assert told["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "before-hook-creation" not in told["helm.sh/hook-delete-policy"], "Helm takes that one where none is named"
    data = {name: base64.b64decode(value).decode() for name, value in keys["data"].items()}
    Fernet(data["encryption-keys"])
    assert len(data["secret-key"]) == len(data["fingerprint-key"]) == 50
    assert len(set(data.values())) == 3


def test_numbers_lists_and_switches_become_text_as_settings_read_it() -> None:
    given = {"CREDBOARD_API_RATE": 1000000, "CREDBOARD_OPERATORS": ["ada", "grace"], "CREDBOARD_LOG_REQUESTS": True}
    told = chart.environment(web({**TRIAL, "settings": given}))
    assert {name: told[name] for name in given} == {
        "CREDBOARD_API_RATE": "1000000",
        "CREDBOARD_OPERATORS": "ada,grace",
        "CREDBOARD_LOG_REQUESTS": "true",
    }


def test_a_setting_wins_over_what_the_chart_derives() -> None:
    told = chart.environment(web({**TRIAL, "settings": {"CREDBOARD_LOG_FORMAT": "line"}}))
    assert told["CREDBOARD_LOG_FORMAT"] == "line"


def test_it_answers_under_the_host_of_every_way_in() -> None:
    told = chart.environment(web(EVERYTHING))
    assert told["CREDBOARD_ALLOWED_HOSTS"].split(",") == [
        "credboard.example.com",
        "a.b",
        "credboard",
        "credboard.ops.svc",
        "localhost",
        "127.0.0.1",
    ]
    assert told["CREDBOARD_HTTPS"] == "true"
    assert told["CREDBOARD_URL"] == "https://credboard.example.com/credboard"


def test_the_probes_ask_under_a_host_that_is_answered() -> None:
    container = web(KUBEFLOW)
    hosts = chart.environment(container)["CREDBOARD_ALLOWED_HOSTS"].split(",")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        (header,) = container[probe]["httpGet"]["httpHeaders"]
        assert header["value"] in hosts


def test_prometheus_asks_under_a_host_that_is_answered_and_keeps_our_labels() -> None:
    documents = chart.render(EVERYTHING)
    monitor = chart.named(documents, "ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    address = next(one["replacement"] for one in endpoint["relabelings"] if one.get("targetLabel") == "__address__")
    hosts = chart.environment(web(EVERYTHING))["CREDBOARD_ALLOWED_HOSTS"].split(",")
    assert address.rpartition(":")[0] in hosts
    assert endpoint["honorLabels"] is True
    assert endpoint["path"] == "/credboard/metrics"
    service = chart.named(documents, "Service", "credboard")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [port["name"] for port in service["spec"]["ports"]] == [endpoint["port"]]


@pytest.mark.parametrize("name", ["trial", "external", "everything", "large"])
def test_no_other_pod_is_taken_for_one_of_a_role(name: str) -> None:
    documents = chart.render(MATRIX[name])
    pods = {key: pod["metadata"]["labels"] for key, pod in chart.pod_templates(documents).items()}
    selectors = {
        one["metadata"]["name"]: one["spec"].get("selector", {}).get("matchLabels") or one["spec"].get("selector")
        for one in chart.of_kind(documents, "Deployment", "StatefulSet", "Service", "PodDisruptionBudget")
    }
    for one, selector in selectors.items():
        chosen = [key for key, labels in pods.items() if selector.items() <= labels.items()]
        assert len(chosen) == 1, f"{one} chooses {chosen}"


def test_only_who_speaks_to_the_api_server_has_a_token() -> None:
    def tokens(values: Values) -> set[str]:
        pods = chart.pod_templates(chart.render(values))
        return {name for name, pod in pods.items() if pod["spec"]["automountServiceAccountToken"]}

    assert tokens(TRIAL) == {"credboard-web", "credboard-worker"}
    assert tokens({**TRIAL, "rbac": {"mode": "readOnly"}}) == {"credboard-worker"}


def test_where_it_only_reads_pages_are_told_so() -> None:
    assert chart.environment(web({**TRIAL, "rbac": {"mode": "readOnly"}}))["CREDBOARD_READ_ONLY"] == "true"
    assert "CREDBOARD_READ_ONLY" not in chart.environment(web(TRIAL))


def test_with_impersonation_writes_are_in_the_name_of_the_person() -> None:
    assert chart.environment(web(MATRIX["impersonation"]))["CREDBOARD_WRITE_AS"] == "person"
    assert "CREDBOARD_WRITE_AS" not in chart.environment(web(TRIAL))


def test_beat_and_the_migration_reach_what_they_need_and_no_more() -> None:
    policies = {one["metadata"]["name"]: one for one in chart.of_kind(chart.render(EXTERNAL), "NetworkPolicy")}
    assert set(reaches(policies["credboard-migrate"])) == {53, 5353, 5432}
    assert set(reaches(policies["credboard-beat"])) == {53, 5353, 5432, 6379}
    assert set(reaches(policies["credboard-worker"])) == {53, 5353, 5432, 6379, 443, 6443, 25, 465, 587}
    assert reaches(policies["credboard-web"]) == reaches(policies["credboard-worker"])
    assert [policies[f"credboard-{role}"]["spec"]["ingress"] for role in ("worker", "beat", "migrate")] == [[], [], []]


def test_with_one_of_the_stores_elsewhere_every_role_reaches_both() -> None:
    policies = chart.of_kind(chart.render(MATRIX["bundled database, external broker"]), "NetworkPolicy")
    for policy in policies:
        if policy["metadata"]["name"].endswith(("-web", "-worker", "-beat")):
            out = reaches(policy)
            assert out[6379] == [], "the broker may be anywhere"
            assert out[5432], "the database is in this release"


def test_a_bundled_store_is_reached_by_its_release_and_by_keda_alone() -> None:
    policies = {
        one["metadata"]["name"]: one for one in chart.of_kind(chart.render(MATRIX["worker by queue"]), "NetworkPolicy")
    }
    (rule,) = policies["credboard-valkey"]["spec"]["ingress"]
    assert [next(iter(peer)) for peer in rule["from"]] == ["podSelector", "namespaceSelector"]
    (rule,) = policies["credboard-postgresql"]["spec"]["ingress"]
    assert [next(iter(peer)) for peer in rule["from"]] == ["podSelector"]


def test_the_test_pod_reaches_the_web_where_others_may_not() -> None:
    documents = chart.render(EVERYTHING)
    policy = chart.named(documents, "NetworkPolicy", "-web")
    test = chart.named(documents, "Pod", "-test-ready")
    peers = policy["spec"]["ingress"][0]["from"]
    assert any(
        peer.get("podSelector", {}).get("matchLabels", {}).items() <= test["metadata"]["labels"].items()
        for peer in peers
        if "podSelector" in peer
    )


def test_no_secret_is_in_the_text_of_a_pod() -> None:
    documents = chart.render(EVERYTHING)
    values = [value for one in chart.of_kind(documents, "Secret") for value in one["data"].values()]
    rest = json.dumps([one for one in documents if one["kind"] != "Secret"])
    assert len(values) == 5
    for value in values:
        assert value not in rest
        assert base64.b64decode(value).decode() not in rest


def test_the_broker_of_a_release_wants_a_password() -> None:
    documents = chart.render()
    broker = chart.named(documents, "Deployment", "-valkey")["spec"]["template"]["spec"]["containers"][0]
    assert broker["args"][-2:] == ["--requirepass", "$(VALKEY_PASSWORD)"]
    assert chart.environment(web(TRIAL))["REDIS_URL"] == "redis://:$(REDIS_PASSWORD)@credboard-valkey:6379/0"
    order = [one["name"] for one in web(TRIAL)["env"]]
    assert order.index("REDIS_PASSWORD") < order.index("REDIS_URL"), "or Kubernetes does not put it in"
    assert order.index("DATABASE_PASSWORD") < order.index("DATABASE_URL")


def test_a_large_cluster_gets_more_of_everything() -> None:
    documents = chart.render(MATRIX["large"])
    scalers = {one["metadata"]["name"]: one["spec"] for one in chart.of_kind(documents, "HorizontalPodAutoscaler")}
    assert set(scalers) == {"credboard-web", "credboard-worker"}
    assert all(spec["minReplicas"] >= 3 for spec in scalers.values())
    assert LARGE in MATRIX["large"]


def test_keda_is_told_of_the_queue_that_celery_uses() -> None:
    trigger = chart.named(chart.render(MATRIX["worker by an external queue"]), "ScaledObject")["spec"]["triggers"][0]
    assert trigger["metadata"]["listName"] == "celery"
    assert trigger["metadata"]["address"] == "r.example.com:6380"
    assert trigger["metadata"]["databaseIndex"] == "3"
    assert trigger["authenticationRef"] == {"name": "redis"}
    bundled = chart.named(chart.render(MATRIX["worker by queue"]), "ScaledObject")["spec"]["triggers"][0]["metadata"]
    assert bundled["address"] == "credboard-valkey.ops.svc:6379"
    worker = chart.named(chart.render(MATRIX["worker by queue"]), "Deployment", "-worker")
    variables = [one["name"] for one in worker["spec"]["template"]["spec"]["containers"][0]["env"]]
    assert bundled["passwordFromEnv"] in variables


def test_the_path_without_its_slash_leads_to_the_one_with_it() -> None:
    redirect, route = chart.named(chart.render(KUBEFLOW), "VirtualService")["spec"]["http"]
    assert redirect == {"match": [{"uri": {"exact": "/credboard"}}], "redirect": {"uri": "/credboard/"}}
    assert route["match"] == [{"uri": {"prefix": "/credboard/"}}]


def test_what_is_left_blank_is_as_if_it_were_not_there() -> None:
    """As `settings:` is to YAML when all that stood under it was commented out."""

    def blank(values: Json) -> Json:
        parts = {name: blank(value) for name, value in values.items() if isinstance(value, dict) and value}
        return parts | {name: None for name, value in values.items() if value in EMPTY}

    def rendered(values: Values) -> list[Json]:
        return [one for one in chart.render(values) if one["kind"] != "Secret"]

    nulls = blank(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")))
    for name in ("postgresql", "ingress", "istio", "watch"):
        nulls[name]["enabled"] = True
    given = {name: {"enabled": True} for name in ("postgresql", "ingress", "istio", "watch")}
    assert rendered(nulls) == rendered(given)


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    def compare(part: Json, values: Json, path: str) -> None:
        if "$ref" in part:
            part = schema["definitions"][part["$ref"].rpartition("/")[2]]
        if (
            part.get("additionalProperties") is False
            and "patternProperties" not in part
            and path.rpartition(".")[2] not in MAY_BE_NULL
        ):
            assert set(part["properties"]) == set(values), f"at {path or 'the root'}"
            # Helm takes away what is null in a values.yaml. What it means then is told only by what is empty anyway.
            told = {name for name, value in values.items() if value not in EMPTY and name not in MAY_BE_NULL}
            assert set(part.get("required", ())) == told, f"at {path or 'the root'}"
            for name, value in values.items():
                compare(part["properties"][name], value, f"{path}.{name}".strip("."))

    compare(schema, yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")), "")


# -- what is generated or written by hand ------------------------------------------------------------------------------


def test_the_readme_is_what_values_yaml_says() -> None:
    written = (CHART / "README.md").read_text(encoding="utf-8")
    assert written == readme((CHART / "values.yaml").read_text(encoding="utf-8")), (
        "run `python -m tests.shipping.chart_readme` and commit it"
    )


def documented() -> list[Json]:
    """The values in the page about installing: its YAML."""
    text = (CHART.parent / "docs" / "install-kubernetes.md").read_text(encoding="utf-8")
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


@pytest.mark.parametrize("values", documented(), ids="-".join)
def test_the_values_in_the_page_about_installing_are_taken(values: Values) -> None:
    done = chart.run("lint", "--strict", "--quiet", CHART, values=values)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    documents = chart.render(values)
    assert {pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in chart.pod_templates(documents).values()} == {
        "credboard"
    }


def test_what_the_page_tells_to_delete_are_the_names_that_the_chart_gives() -> None:
    text = (CHART.parent / "docs" / "install-kubernetes.md").read_text(encoding="utf-8")
    documents = chart.render(TRIAL) + chart.render(EXTERNAL)
    there = {f"{one['kind'].lower()}/{one['metadata']['name']}" for one in documents}
    database = chart.named(documents, "StatefulSet")
    for claim in database["spec"]["volumeClaimTemplates"]:
        there.add(f"persistentvolumeclaim/{claim['metadata']['name']}-{database['metadata']['name']}-0")
    told = set(re.findall(r"\b(?:secret|job|persistentvolumeclaim|statefulset)/[a-z0-9-]+", text))
    assert told
    assert told <= there


def test_the_images_that_the_page_has_mirrored_are_those_of_the_chart() -> None:
    text = (CHART.parent / "docs" / "install-kubernetes.md").read_text(encoding="utf-8")
    listed = re.search(r"for image in (.*?); do", text)
    assert listed
    images = listed[1].split()
    assert set(images) == {one["image"] for one in containers(chart.render(TRIAL))}
    mirrored = chart.render(next(values for values in documented() if "global" in values))
    assert {one["image"] for one in containers(mirrored)} == {
        f"registry.example.com/mirror/{image.removeprefix('docker.io/')}" for image in images
    }
