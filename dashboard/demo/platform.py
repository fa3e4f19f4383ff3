"""The Namespaces of the demo in which all is well, or nearly: the platform's own and the quiet teams."""

from __future__ import annotations

from datetime import timedelta

from dashboard.demo import cast
from dashboard.demo.cast import FAKE, GITLAB, HARBOR
from dashboard.demo.certificates import tls_data
from dashboard.demo.objects import Builder

__all__ = ["add_platform"]

_CONTROLLERS = (
    ("kube-system", "coredns", "registry.k8s.io/coredns/coredns:v1.13.1", 2),
    ("kube-system", "kube-proxy", "registry.k8s.io/kube-proxy:v1.37.0", 3),
    ("cert-manager", "cert-manager", "quay.io/jetstack/cert-manager-controller:v1.19.1", 1),
    ("cert-manager", "cert-manager-webhook", "quay.io/jetstack/cert-manager-webhook:v1.19.1", 1),
    ("knative-serving", "activator", "gcr.io/knative-releases/activator:v1.20.0", 2),
    ("knative-serving", "autoscaler", "gcr.io/knative-releases/autoscaler:v1.20.0", 1),
    ("kserve", "kserve-controller-manager", "docker.io/kserve/kserve-controller:v0.16.0", 1),
    ("monitoring", "prometheus", "quay.io/prometheus/prometheus:v3.7.0", 2),
    ("monitoring", "grafana", "docker.io/grafana/grafana:12.2.0", 1),
    ("ingress-nginx", "controller", "registry.k8s.io/ingress-nginx/controller:v1.14.0", 2),
    ("minio", "minio", "quay.io/minio/minio:RELEASE.2025-09-07T16-13-09Z", 1),
    ("oauth2-proxy", "oauth2-proxy", "quay.io/oauth2-proxy/oauth2-proxy:v7.13.0", 1),
    ("auth", "dex", "ghcr.io/dexidp/dex:v2.44.0", 1),
    ("argo", "workflow-controller", "quay.io/argoproj/workflow-controller:v3.6.7", 1),
    ("kyverno", "admission-controller", "ghcr.io/kyverno/kyverno:v1.16.0", 1),
)


def add_platform(b: Builder) -> None:
    """Append the Namespaces without a story, `kubeflow` (the home of story 1's Secret) among them."""
    for name in ("kube-system", "kube-public", "kube-node-lease"):
        b.namespace(name)
    b.namespace("default")
    cast.replicas(b, "default", "hello", "docker.io/library/nginx:1.29", 1)
    for name in sorted({row[0] for row in _CONTROLLERS} - {"kube-system"}):
        b.namespace(name, owner="platform@example.com")
    for name, app, image, count in _CONTROLLERS:
        cast.replicas(b, name, app, image, count)
    _kubeflow(b)
    b.namespace("istio-system", owner="platform@example.com")
    cast.replicas(b, "istio-system", "istiod", "docker.io/istio/pilot:1.28.0", 2)
    gateway = tls_data("kubeflow.example.com", not_after=b.now + timedelta(days=12, hours=6))
    b.secret(
        "istio-system",
        "kubeflow-gateway-tls",
        gateway,
        type="kubernetes.io/tls",
        annotations={"cert-manager.io/certificate-name": "kubeflow-gateway"},
    )
    webhook = tls_data("cert-manager-webhook.cert-manager.svc", not_after=b.now + timedelta(days=300), days=365)
    b.secret("cert-manager", "cert-manager-webhook-ca", webhook, type="kubernetes.io/tls")
    _quiet_teams(b)


def _kubeflow(b: Builder) -> None:
    ns = b.namespace("kubeflow", owner="platform@example.com", labels={"control-plane": "kubeflow"})
    b.account(ns, "ml-pipeline")
    b.pull_secret(
        ns, "regcred-pipeline", {GITLAB: ("gitlab+deploy-token-1051", FAKE)}, expires=timedelta(days=120), age_days=12
    )
    b.secret(ns, "mlpipeline-minio-artifact", {"accesskey": "minio", "secretkey": FAKE})
    for app, image in (
        ("ml-pipeline", "ghcr.io/kubeflow/kfp-api-server:2.15.0"),
        ("ml-pipeline-ui", "ghcr.io/kubeflow/kfp-frontend:2.15.0"),
        ("centraldashboard", "ghcr.io/kubeflow/kubeflow/central-dashboard:v1.10.0"),
        ("profiles-deployment", "ghcr.io/kubeflow/kubeflow/profile-controller:v1.10.0"),
        ("notebook-controller", "ghcr.io/kubeflow/kubeflow/notebook-controller:v1.10.0"),
        ("mysql", "docker.io/library/mysql:8.4"),
    ):
        cast.replicas(b, ns, app, image, 1)
    artifacts = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "mlpipeline-minio-artifact", "key": key}}}
        for name, key in (("MINIO_ACCESS_KEY", "accesskey"), ("MINIO_SECRET_KEY", "secretkey"))
    ]
    b.pod(
        ns,
        "metadata-writer-5d7c9b8f6-lw8tk",
        "ghcr.io/kubeflow/kfp-metadata-writer:2.15.0",
        owner=("ReplicaSet", "metadata-writer-5d7c9b8f6"),
        env=artifacts,
    )


def _quiet_teams(b: Builder) -> None:
    """All well. `team-ads` has many Pods."""
    for team, gitlab, storage, certificate, pods in (
        ("robotics", True, False, True, 4),
        ("search", True, True, True, 6),
        ("ads", False, True, False, 64),
        ("pricing", False, True, False, 3),
        ("logistics", True, True, False, 2),
        ("quality", False, False, False, 2),
        ("risk", True, False, True, 3),
    ):
        links = ["harbor-credential", *(["regcred-gitlab"] if gitlab else [])]
        ns = b.namespace(
            f"team-{team}", profile_of=f"{team}@example.com", pull=links, storage=["s3-models"] if storage else []
        )
        robot = team if team in {"robotics", "search", "ads", "pricing"} else "platform"
        cast.harbor(b, ns, robot)
        cast.replicas(b, ns, f"{team}-api", f"{HARBOR}/{robot}/{team}-api:1.{len(team)}.0", pods)
        cast.notebook(b, ns, "notebook", f"{HARBOR}/{robot}/notebook:1.{len(team)}.0")
        if gitlab:
            cast.gitlab(b, ns)
            cast.replicas(b, ns, f"{team}-jobs", f"{GITLAB}/{team}/jobs:0.{len(team)}.0", 1)
        else:
            cast.replicas(b, ns, "cache", "docker.io/library/redis:7.4", 1)
        if storage:
            cast.s3(b, ns)
        if certificate:
            end = b.now + timedelta(days=61, hours=5)
            b.secret(ns, f"{team}-tls", tls_data(f"{team}.example.com", not_after=end), type="kubernetes.io/tls")
