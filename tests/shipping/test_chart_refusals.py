"""Values that the chart refuses, each by its path or with words."""

from __future__ import annotations

import pytest

from dashboard import env
from tests.shipping import chart
from tests.shipping.chart import EXTERNAL, TRIAL, Values
from tests.shipping.chart_readme import CHART


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"replicas": 2}, "replicas"),
        ({"web": {"replica": 2}}, "replica"),
        ({"web": {"replicas": "2"}}, "web/replicas"),
        ({"web": {"replicas": -1}}, "web/replicas"),
        ({"url": "credboard.example.com"}, "url"),
        ({"url": "https://example.com/credboard"}, "url"),
        ({"url": "https://ada:hunter2@example.com"}, "url"),
        ({"pathPrefix": "credboard"}, "pathPrefix"),
        ({"pathPrefix": "/credboard/"}, "pathPrefix"),
        ({"rbac": {"mode": "admin"}}, "rbac/mode"),
        ({"rbac": {"mode": "namespaces"}}, "rbac/namespaces"),
        ({"rbac": {"mode": "namespaces", "namespaces": "team-a"}}, "rbac/namespaces"),
        ({"rbac": {"mode": "namespaces", "namespaces": ["*"]}}, "rbac/namespaces/0"),
        ({"rbac": {"impersonation": {"enabled": True}}}, "rbac/impersonation/users"),
        ({"rbac": {"impersonation": {"enabled": True, "users": ["system:admin"]}}}, "rbac/impersonation/users/0"),
        (
            {"rbac": {"impersonation": {"enabled": True, "users": ["a"], "groups": ["system:masters"]}}},
            "rbac/impersonation/groups/0",
        ),
        ({"rbac": {"mode": "readOnly", "impersonation": {"enabled": True, "users": ["ada"]}}}, "rbac/mode"),
        ({"settings": {"CREDBOARD_OPERATORS": None}}, "settings/CREDBOARD_OPERATORS"),
        ({"settings": {"CREDBOARD-OPERATORS": "ada"}}, "settings"),
        ({"settings": {"CREDBOARD_POLICY": {"a": "b"}}}, "settings/CREDBOARD_POLICY"),
        ({"secretSettings": {"CREDBOARD_SMTP_PASSWORD": "hunter2"}}, "secretSettings/CREDBOARD_SMTP_PASSWORD"),
        ({"secretSettings": {"CREDBOARD_SMTP_PASSWORD": {"name": "mail"}}}, "secretSettings/CREDBOARD_SMTP_PASSWORD"),
        ({"image": {"digest": "sha256:abc"}}, "image/digest"),
        ({"image": {"repository": "registry.example.com/credboard:0.1.0"}}, "image/repository"),
        ({"web": {"replicas": None}}, "replicas"),
        ({"image": {"pullPolicy": "always"}}, "image/pullPolicy"),
        ({"imagePullSecrets": [{"name": "regcred"}]}, "imagePullSecrets/0"),
        ({"postgresql": {"size": "5 GB"}}, "postgresql/size"),
        ({"web": {"resources": {"limits": {"memory": "lots"}}}}, "web/resources/limits/memory"),
        ({"web": {"resources": {"limit": {}}}}, "web/resources"),
        ({"web": {"podLabels": {"app.kubernetes.io/component": "x"}}}, "web/podLabels"),
        ({"worker": {"autoscaling": {"by": "vpa"}}}, "worker/autoscaling/by"),
        (
            {"worker": {"autoscaling": {"keda": {"redisAddress": "redis://r:6379"}}}},
            "worker/autoscaling/keda/redisAddress",
        ),
        ({"service": {"port": 0}}, "service/port"),
        ({"networkPolicy": {"egressPorts": ["https"]}}, "networkPolicy/egressPorts/0"),
        ({"ingress": {"hosts": ["https://example.com"]}}, "ingress/hosts/0"),
        ({"fullnameOverride": "Credboard"}, "fullnameOverride"),
        ({"fullnameOverride": "c" * 41}, "fullnameOverride"),
        ({"nameOverride": "c.d"}, "nameOverride"),
        ({"commonLabels": {"app.kubernetes.io/name": "x"}}, "commonLabels"),
        ({"global": {"imageRegistry": "registry.example.com/"}}, "global/imageRegistry"),
        ({"global": {"imagePullSecrets": [{"secret": "a"}]}}, "global/imagePullSecrets/0"),
        ({"web": {"bindAddress": "::"}}, "web/bindAddress"),
        ({"rbac": {"admissionPolicy": "auto"}}, "rbac/admissionPolicy"),
        ({"valkey": {"podSecurityContext": {"runAsUser": 0}}}, "valkey/podSecurityContext/runAsUser"),
        ({"gateway": {"enabled": True}}, "gateway/parentRefs"),
        ({"istio": {"authorizationPolicy": {"principals": []}}}, "istio/authorizationPolicy/principals"),
        ({"metrics": {"serviceMonitor": {"interval": "often"}}}, "metrics/serviceMonitor/interval"),
        ({"podSecurityContext": {"runAsUser": 0}}, "podSecurityContext/runAsUser"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(values: Values, path: str) -> None:
    said = chart.refusal({**TRIAL, **values})
    assert "values don't meet the specifications of the schema" in said
    assert path in said.replace("'", "").replace(".", "/"), said


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "database.existingSecret names the Secret"),
        ({**TRIAL, "valkey": {"enabled": False}}, "redis.existingSecret names the Secret"),
        ({**TRIAL, "database": {"existingSecret": "db"}}, "postgresql.enabled makes another"),
        ({**TRIAL, "redis": {"existingSecret": "broker"}}, "set valkey.enabled=false"),
        ({**TRIAL, "rbac": {"namespaces": ["default"]}}, "with rbac.mode cluster it would bound nothing"),
        (
            {**TRIAL, "watch": {"enabled": True}, "rbac": {"mode": "readOnly", "namespaces": ["default"]}},
            "watch.enabled needs rights in all Namespaces",
        ),
        ({**TRIAL, "settings": {"DATABASE_URL": "postgres://"}}, "DATABASE_URL is set by the chart: use database."),
        ({**TRIAL, "settings": {"CREDBOARD_READ_ONLY": True}}, "use rbac.mode"),
        ({**TRIAL, "settings": {"REDIS_PASSWORD": "x"}}, "use valkey.existingSecret"),
        ({**TRIAL, "settings": {"CREDBOARD_SMTP_PASSWORD": "x"}}, "name a Secret with it in secretSettings"),
        (
            {**TRIAL, "worker": {"autoscaling": {"enabled": True, "minReplicas": 11}}},
            "worker.autoscaling: minReplicas is more than maxReplicas",
        ),
        (
            {**TRIAL, "settings": {"CREDBOARD_X": "1"}, "secretSettings": {"CREDBOARD_X": {"name": "a", "key": "b"}}},
            "CREDBOARD_X is both in settings and in secretSettings",
        ),
        (
            {**EXTERNAL, "worker": {"autoscaling": {"enabled": True, "by": "keda"}}},
            "worker.autoscaling.keda.redisAddress",
        ),
        ({**TRIAL, "metrics": {"serviceMonitor": {"enabled": True}}}, "metrics.serviceMonitor.tokenSecret.name"),
    ],
)
def test_values_that_do_not_go_together_are_refused_with_words(values: Values, words: str) -> None:
    assert words in chart.refusal(values)


def test_no_secret_setting_is_taken_in_clear() -> None:
    helpers = (CHART / "templates" / "_helpers.tpl").read_text(encoding="utf-8")
    secret = [one.name for one in env.declared() if one.is_secret]
    assert "CREDBOARD_SMTP_PASSWORD" in secret
    assert [name for name in secret if f'"{name}"' not in helpers] == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rbac": {"impersonation": {"enabled": True}}}, "a right to be anybody is cluster-admin"),
        ({"rbac": {"impersonation": {"enabled": True, "users": ["system:admin"]}}}, "must not name"),
        ({"rbac": {"mode": "readOnly", "impersonation": {"enabled": True, "users": ["ada"]}}}, "makes no sense"),
        ({"rbac": {"mode": "namespaces"}}, "list them in rbac.namespaces"),
        ({"gateway": {"enabled": True}}, "gateway.parentRefs names the Gateway"),
        (
            {"istio": {"enabled": True, "authorizationPolicy": {"enabled": True, "principals": []}}},
            "Istio lets everybody through",
        ),
    ],
)
def test_what_would_give_too_much_is_refused_also_where_the_schema_is_skipped(values: Values, words: str) -> None:
    done = chart.run("template", "credboard", CHART, "--skip-schema-validation", values={**TRIAL, **values})
    assert done.returncode != 0
    assert words in done.stderr
