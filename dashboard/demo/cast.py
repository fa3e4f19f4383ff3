"""The recurring parts of the stories: credentials of the demo's registries, and the kinds of Pod a machine learning
platform runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from dashboard.demo.objects import Builder, config_json, jwt
from dashboard.demo.registries import DEMO_PASSWORD
from dashboard.demo.status import Json

__all__ = [
    "FAKE",
    "GITLAB",
    "HARBOR",
    "PIPELINES",
    "config_json",
    "gitlab",
    "harbor",
    "jwt",
    "kfp_pod",
    "model_pod",
    "notebook",
    "replicas",
    "s3",
    "token",
]

HARBOR: Final = "harbor.example.com"
GITLAB: Final = "gitlab.example.com:4567"
PIPELINES: Final = "pipelines.kubeflow.org"
FAKE: Final = "demo-only-not-a-real-value"
_TOKEN_DIR: Final = "/var/run/secrets/kubeflow/pipelines"  # noqa: S105


def harbor(b: Builder, namespace: str, robot: str, *, name: str = "harbor-credential", days: float = 34.2) -> str:
    """A pull Secret with a working Harbor robot, which ends in so many days."""
    return b.pull_secret(namespace, name, {HARBOR: (f"robot${robot}", DEMO_PASSWORD)}, expires=timedelta(days=days))


def gitlab(b: Builder, namespace: str, *, name: str = "regcred-gitlab", days: float = 210.4) -> str:
    """A pull Secret with a GitLab deploy token, which ends in so many days."""
    return b.pull_secret(namespace, name, {GITLAB: ("gitlab+deploy-token-1042", FAKE)}, expires=timedelta(days=days))


def s3(b: Builder, namespace: str, *, name: str = "s3-models") -> str:
    """A storage Secret as KServe reads it."""
    notes = {"serving.kserve.io/s3-endpoint": "minio.minio.svc:9000", "serving.kserve.io/s3-usehttps": "0"}
    return b.secret(
        namespace, name, {"AWS_ACCESS_KEY_ID": "demo-access-key", "AWS_SECRET_ACCESS_KEY": FAKE}, annotations=notes
    )


def token(
    b: Builder, namespace: str, name: str, *, days: float, audience: str = PIPELINES, lifetime_days: float = 90
) -> str:
    """An Opaque Secret that holds a JWT (a pasted one: nothing renews it), valid for so many days more, or expired
    where that is negative.
    """
    expires = int((b.now + timedelta(days=days)).timestamp())
    claims = {
        "iss": "https://kubernetes.default.svc.cluster.local",
        "aud": [audience],
        "sub": f"system:serviceaccount:{namespace}:default-editor",
    }
    return b.secret(
        namespace, name, {"token": jwt(**claims, iat=expires - int(lifetime_days * 86400), exp=expires)}, age_days=30
    )


def _pipelines_token() -> tuple[Json, str]:
    source = {"serviceAccountToken": {"audience": PIPELINES, "expirationSeconds": 7200, "path": "token"}}
    return {"name": "volume-kf-pipeline-token", "projected": {"sources": [source], "defaultMode": 420}}, _TOKEN_DIR


def notebook(b: Builder, namespace: str, name: str, image: str, *, running: bool = False) -> Json:
    """A notebook with the projected token that the PodDefault gives it."""
    variable = {"name": "KF_PIPELINES_SA_TOKEN_PATH", "value": f"{_TOKEN_DIR}/token"}
    rule = {
        "desc": "Allow access to Kubeflow Pipelines",
        "selector": {"matchLabels": {"access-ml-pipeline": "true"}},
        "env": [variable],
        "volumes": [_pipelines_token()[0]],
        "volumeMounts": [{"name": "volume-kf-pipeline-token", "mountPath": _TOKEN_DIR, "readOnly": True}],
    }
    b.custom("kubeflow.org/v1alpha1", "PodDefault", namespace, "access-ml-pipeline", rule)
    labels = {"notebook-name": name, "statefulset": name, "access-ml-pipeline": "true"}
    return b.pod(
        namespace,
        f"{name}-0",
        image,
        owner=("StatefulSet", name),
        account="default-editor",
        labels=labels,
        env=[{"name": "NB_PREFIX", "value": f"/notebook/{namespace}/{name}"}, variable],
        volumes=[_pipelines_token()],
        container=name,
        running=running,
    )


def kfp_pod(
    b: Builder,
    namespace: str,
    run: str,
    step: str,
    image: str,
    *,
    pull: Sequence[str] | None = None,
    since: datetime | None = None,
    env: Sequence[Json] = (),
    volumes: Sequence[tuple[Json, str]] = (),
) -> Json:
    """A step of a pipeline run, as Argo Workflows makes it."""
    labels = {
        "workflows.argoproj.io/workflow": run,
        "workflows.argoproj.io/completed": "false",
        "pipelines.kubeflow.org/v2_component": "true",
    }
    launcher = {
        "name": "kfp-launcher",
        "image": "ghcr.io/kubeflow/kfp-launcher:2.15.0",
        "command": ["launcher-v2", "--copy", "/kfp-launcher/launch"],
    }
    waiter = {"name": "wait", "image": "quay.io/argoproj/argoexec:v3.6.7", "command": ["argoexec", "wait"]}
    return b.pod(
        namespace,
        f"{run}-{step}",
        image,
        owner=("Workflow", run),
        account="default-editor",
        labels=labels,
        pull=pull,
        since=since,
        env=env,
        volumes=volumes,
        init=[launcher],
        sidecars=[waiter],
    )


def model_pod(
    b: Builder,
    namespace: str,
    model: str,
    image: str,
    *,
    pull: Sequence[str] | None = None,
    since: datetime | None = None,
    hashed: str = "7d9c5b6f4c-q8zrt",
) -> Json:
    """The predictor of an InferenceService in raw deployment mode, with the InferenceService itself."""
    container = {"name": "kserve-container", "image": image}
    predictor: Json = {"containers": [container]} | (
        {"imagePullSecrets": [{"name": name} for name in pull]} if pull else {}
    )
    b.custom("serving.kserve.io/v1beta1", "InferenceService", namespace, model, {"predictor": predictor})
    labels = {"serving.kserve.io/inferenceservice": model, "component": "predictor", "app": f"isvc.{model}-predictor"}
    replica_set = f"{model}-predictor-{hashed.rpartition('-')[0]}"
    return b.pod(
        namespace,
        f"{model}-predictor-{hashed}",
        image,
        owner=("ReplicaSet", replica_set),
        labels=labels,
        pull=pull,
        container="kserve-container",
        since=since,
    )


def replicas(
    b: Builder,
    namespace: str,
    app: str,
    image: str,
    count: int = 1,
    *,
    pull: Sequence[str] | None = None,
    running: bool = False,
) -> None:
    """Pods of a Deployment."""
    alphabet = "bcdfghjklmnpqrstvwxz2456789"
    for number in range(count):
        tail = "".join(alphabet[(number * 7 + step * 11 + len(app) * 3) % len(alphabet)] for step in range(3))
        name = f"{app}-6c8f7d5b9-{tail}{number // 27 % 10}{alphabet[number % 27]}"
        owner = ("ReplicaSet", f"{app}-6c8f7d5b9")
        b.pod(namespace, name, image, owner=owner, labels={"app": app}, container=app[:40], pull=pull, running=running)
