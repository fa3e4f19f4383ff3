"""The demo cluster's picture: a Kubeflow and KServe platform of about forty Namespaces, with the five stories of the
product in it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from dashboard.demo import cast
from dashboard.demo.cast import FAKE, GITLAB, HARBOR
from dashboard.demo.certificates import tls_data
from dashboard.demo.objects import Builder
from dashboard.demo.platform import add_platform
from dashboard.demo.registries import DEMO_PASSWORD
from dashboard.demo.status import Json

__all__ = ["build_stories"]


def build_stories(now: datetime) -> list[Json]:
    """Plain Kubernetes objects, as `kubectl -o json` prints them, in an order in which they can be created.

    All times are relative to `now` (aware); nothing else varies. Every password in it is fake.
    """
    b = Builder(now)
    _roles(b)
    add_platform(b)
    _right_secret_wrong_namespace(b)
    _harbor_rejected(b)
    _wrong_host(b)
    _denied_and_no_token(b)
    _exists_elsewhere(b)
    _harbor_missing(b)
    _harbor_untrusted(b)
    _malformed(b)
    _unlinked(b)
    _names_as_parameters(b)
    _key_without_port(b)
    _unknown(b)
    _warnings(b)
    return b.finish()


def _roles(b: Builder) -> None:
    every = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    core = {"apiGroups": [""], "resources": ["pods", "pods/log", "events", "configmaps", "serviceaccounts"]}
    secrets = {"apiGroups": [""], "resources": ["secrets"]}
    kubeflow = {"apiGroups": ["kubeflow.org", "serving.kserve.io"], "resources": ["*"]}
    bindings = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": every}
    reads = ["get", "list", "watch"]
    b.cluster_role("kubeflow-admin", [rule | {"verbs": every} for rule in (core, secrets, kubeflow)] + [bindings])
    b.cluster_role("kubeflow-edit", [rule | {"verbs": every} for rule in (core, secrets, kubeflow)])
    b.cluster_role("kubeflow-view", [rule | {"verbs": reads} for rule in (core, kubeflow)])


def _right_secret_wrong_namespace(b: Builder) -> None:
    """Story 1. The Secret was made in `kubeflow` (see `platform.py`); the pipeline runs here."""
    ns = b.namespace(
        "kubeflow-user-example-com", profile_of="user@example.com", pull=["harbor-credential"], storage=["s3-models"]
    )
    cast.harbor(b, ns, "kubeflow")
    cast.s3(b, ns)
    cast.token(b, ns, "kfp-api-token", days=3.1)
    image, since = f"{GITLAB}/ml/load-iris:1.4", b.ago(minutes=26)
    for run, step, at in (
        ("iris-pipeline-x7k2f", "load-iris", since),
        ("iris-pipeline-x7k2f", "train-csv", since),
        ("iris-pipeline-9mqdw", "load-iris", b.ago(minutes=4)),
        ("iris-pipeline-9mqdw", "train-csv", b.ago(minutes=4)),
    ):
        cast.kfp_pod(
            b,
            ns,
            run,
            step,
            image if step == "load-iris" else f"{GITLAB}/ml/train-csv:1.4",
            pull=["regcred-pipeline"],
            since=at,
        )
    cast.notebook(b, ns, "iris-notebook", f"{HARBOR}/platform/jupyter-scipy:1.10.0")


def _harbor_rejected(b: Builder) -> None:
    """Story 2: the user name or password is wrong."""
    ns = b.namespace(
        "team-vision",
        profile_of="vision@example.com",
        pull=["harbor-credential", "regcred-gitlab"],
        storage=["s3-models"],
    )
    b.pull_secret(ns, "harbor-credential", {HARBOR: ("robot$vision", "demo-password-of-last-year")}, age_days=380)
    cast.gitlab(b, ns)
    cast.s3(b, ns)
    cast.model_pod(
        b,
        ns,
        "defect-detector",
        f"{HARBOR}/vision/defect-detector:2.3.1",
        pull=["harbor-credential"],
        since=b.ago(hours=5),
    )
    cast.model_pod(
        b,
        ns,
        "ocr-invoices",
        f"{HARBOR}/vision/ocr:0.9.0",
        pull=["harbor-credential"],
        since=b.ago(hours=5),
        hashed="5f44c8d7b-m2lkx",
    )
    cast.replicas(b, ns, "labelling-ui", f"{GITLAB}/vision/labelling-ui:4.1.0", 2)
    cast.replicas(b, ns, "cache", "docker.io/library/redis:7.4", 1)
    cast.notebook(b, ns, "augmentation", f"{GITLAB}/vision/notebook:4.1.0")


def _wrong_host(b: Builder) -> None:
    """The Secret is for the registry's old name; and a certificate that ended two days ago."""
    ns = b.namespace("serving-prod", owner="ml-platform@example.com", pull=["harbor-credential"], storage=["s3-models"])
    b.pull_secret(ns, "harbor-credential", {"registry.example.com": ("robot$serving", DEMO_PASSWORD)}, age_days=400)
    cast.s3(b, ns)
    for model, hashed in (
        ("churn", "66f7c9d5b8-x2vnt"),
        ("ranking", "79d8b6c4f-w5kzq"),
        ("pricing", "58c6f9b7d-r9dlj"),
    ):
        cast.model_pod(b, ns, model, f"{HARBOR}/serving/{model}:3.0.2", since=b.ago(hours=2), hashed=hashed)
    cast.replicas(b, ns, "gateway", "docker.io/library/nginx:1.29", 2)
    b.secret(
        ns, "models-tls", tls_data("models.example.com", not_after=b.ago(days=2, hours=3)), type="kubernetes.io/tls"
    )


def _denied_and_no_token(b: Builder) -> None:
    """Stories 2 and 3: no right to two repositories; a missing Secret; a pipeline client without a projected token;
    broken storage JSON.
    """
    ns = b.namespace("team-forecast", profile_of="forecast@example.com", pull=["harbor-credential"])
    cast.harbor(b, ns, "forecast")
    for repository, hashed in (("demand-model", "6b5d9f7c8-tq4mw"), ("weather-model", "84c7d6b5f-zn7hs")):
        cast.model_pod(b, ns, repository, f"{HARBOR}/research/{repository}:1.0.0", since=b.ago(hours=9), hashed=hashed)
    cast.kfp_pod(
        b,
        ns,
        "backtest-7hqzn",
        "prepare",
        f"{GITLAB}/forecast/prepare:0.6",
        pull=["regcred-forecast"],
        since=b.ago(hours=1),
    )
    endpoint = {"name": "KFP_ENDPOINT", "value": "http://ml-pipeline.kubeflow.svc.cluster.local:8888"}
    labels = {"app": "nightly-trigger"}
    b.pod(
        ns,
        "nightly-trigger-7f6d8c9b5-k4wjd",
        f"{HARBOR}/forecast/nightly-trigger:0.3.0",
        owner=("ReplicaSet", "nightly-trigger-7f6d8c9b5"),
        account="default-editor",
        labels=labels,
        env=[endpoint],
        container="trigger",
    )
    b.secret(
        ns,
        "storage-config",
        {"forecast-s3": '{"type": "s3", "access_key_id": "demo-access-key", "secret_access_key": '},
    )
    spec = {
        "predictor": {
            "model": {"modelFormat": {"name": "sklearn"}, "storage": {"key": "forecast-s3", "path": "demand/v4"}}
        }
    }
    b.custom("serving.kserve.io/v1beta1", "InferenceService", ns, "demand-v4", spec)


def _exists_elsewhere(b: Builder) -> None:
    ns = b.namespace(
        "team-nlp", profile_of="nlp@example.com", pull=["harbor-credential"], storage=["s3-models", "hf-token"]
    )
    cast.harbor(b, ns, "nlp")
    cast.s3(b, ns)
    b.secret(ns, "hf-token", {"HF_TOKEN": "hf_" + "DemoOnlyNotARealToken".ljust(34, "x")})
    cast.notebook(b, ns, "embeddings", f"{HARBOR}/nlp/notebook:2.0.0")
    cast.kfp_pod(
        b,
        ns,
        "summaries-b8dkt",
        "tokenise",
        f"{GITLAB}/nlp/tokenise:2.2",
        pull=["regcred-pipeline"],
        since=b.ago(minutes=50),
    )


def _harbor_missing(b: Builder) -> None:
    """Story 2: the Secret is not in this Namespace; a refused storage key; Knative's 401 before any Pod exists."""
    ns = b.namespace("serving-staging", owner="ml-platform@example.com", storage=["s3-models"])
    cast.s3(b, ns)
    cast.model_pod(
        b,
        ns,
        "churn",
        f"{HARBOR}/serving/churn:3.1.0-rc1",
        pull=["harbor-credential"],
        since=b.ago(minutes=70),
        hashed="7c9d6f8b5-jt6xp",
    )
    why = (
        'Revision "ranking-predictor-00001" failed with message: Unable to fetch image '
        '"harbor.example.com/serving/ranking:3.1.0-rc1": failed to '
        "resolve image to digest: HEAD https://harbor.example.com/v2/serving/ranking/manifests/3.1.0-rc1: "
        "unexpected status code 401 Unauthorized "
        "(HEAD responses have no body, use GET for details)."
    )
    condition = {"type": "PredictorReady", "status": "False", "reason": "RevisionFailed", "message": why}
    predictor = {
        "predictor": {"containers": [{"name": "kserve-container", "image": f"{HARBOR}/serving/ranking:3.1.0-rc1"}]}
    }
    b.custom(
        "serving.kserve.io/v1beta1", "InferenceService", ns, "ranking", predictor, status={"conditions": [condition]}
    )
    text = (
        "An error occurred (SignatureDoesNotMatch) when calling the ListObjects operation: The request signature we "
        "calculated does not match the signature you provided. Check your key and signing method."
    )
    loader: Json = {
        "name": "storage-initializer",
        "image": "docker.io/kserve/storage-initializer:v0.16.0",
        "args": ["s3://models/fraud/v2", "/mnt/models"],
    }
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    loader["env"] = [{"name": key, "valueFrom": {"secretKeyRef": {"name": "s3-models", "key": key}}} for key in keys]
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": "s3://models/fraud/v2"}
    b.custom("serving.kserve.io/v1beta1", "InferenceService", ns, "fraud", {"predictor": {"model": model}})
    b.pod(
        ns,
        "fraud-predictor-6d5c7f9b8-vx2kn",
        "docker.io/kserve/sklearnserver:v0.16.0",
        owner=("ReplicaSet", "fraud-predictor-6d5c7f9b8"),
        labels={"serving.kserve.io/inferenceservice": "fraud", "component": "predictor"},
        init=[loader],
        container="kserve-container",
        since=b.ago(minutes=65),
        crash=text,
    )


def _harbor_untrusted(b: Builder) -> None:
    """Story 2: the nodes here do not trust the registry's certificate."""
    ns = b.namespace("team-genomics", profile_of="genomics@example.com", pull=["harbor-credential"])
    cast.harbor(b, ns, "genomics")
    cast.model_pod(
        b, ns, "variant-caller", f"{HARBOR}/genomics/variant-caller:5.2", since=b.ago(hours=3), hashed="7b8c9d6f5-hl9cz"
    )


def _malformed(b: Builder) -> None:
    ns = b.namespace("team-fraud", profile_of="fraud@example.com", pull=["harbor-credential"])
    broken = '{"auths":{"harbor.example.com":{"username":"robot$fraud","auth":"not base64 at all"}}}'
    b.secret(ns, "harbor-credential", {".dockerconfigjson": broken}, type="kubernetes.io/dockerconfigjson", age_days=1)
    cast.replicas(b, ns, "scorer", f"{HARBOR}/fraud/scorer:1.8.0", 3)
    cast.replicas(b, ns, "cache", "docker.io/library/redis:7.4", 1, running=True)


def _unlinked(b: Builder) -> None:
    ns = b.namespace("team-recsys", profile_of="recsys@example.com")
    cast.harbor(b, ns, "recsys")
    cast.replicas(b, ns, "recommender", f"{HARBOR}/recsys/recommender:2.0.0", 2)


def _names_as_parameters(b: Builder) -> None:
    """Story 5: Secret names that were parameters of a pipeline; and a token that has ended."""
    ns = b.namespace("batch-scoring", profile_of="batch@example.com", pull=["harbor-credential"])
    cast.harbor(b, ns, "batch")
    b.secret(ns, "feature-store", {"username": "batch"})
    cast.token(b, ns, "results-api-token", days=-4.5, audience="results.example.com")
    run, image, since = "churn-params-4zq8p", f"{HARBOR}/batch/churn:0.4.1", b.ago(minutes=18)
    for step, name, key in (
        ("extract", "warehouse-creds-prod", "password"),
        ("features", "feature-store", "api-token"),
    ):
        variable = {"name": key.upper().replace("-", "_"), "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
        cast.kfp_pod(b, ns, run, step, image, since=since, env=[variable])
    signing = {
        "name": "model-signing-key",
        "secret": {"secretName": "model-signing-key", "defaultMode": 420, "optional": False},
    }
    cast.kfp_pod(b, ns, run, "sign", image, since=since, volumes=[(signing, "/etc/signing")])


def _key_without_port(b: Builder) -> None:
    ns = b.namespace("team-maps", profile_of="maps@example.com", pull=["regcred-gitlab"])
    b.pull_secret(ns, "regcred-gitlab", {"gitlab.example.com": ("gitlab+deploy-token-1077", FAKE)}, age_days=2)
    cast.replicas(b, ns, "tile-server", f"{GITLAB}/maps/tile-server:3.3.0", 2)


def _unknown(b: Builder) -> None:
    """A registry that cannot be reached from here, and a Namespace whose Secrets the demo's user may not read."""
    ns = b.namespace("edge-registry-mirror", owner="sre@example.com", pull=["harbor-credential"])
    cast.harbor(b, ns, "edge")
    cast.replicas(b, ns, "mirror", f"{HARBOR}/edge/mirror:1.1.0", 1)
    cast.replicas(b, ns, "proxy", "docker.io/library/nginx:1.29", 1)
    b.secret(
        ns,
        "mirror-tls",
        tls_data("mirror.edge.example.com", not_after=b.now + timedelta(days=12, hours=4)),
        type="kubernetes.io/tls",
    )
    ns = b.namespace("restricted", owner="security@example.com", pull=["harbor-credential"])
    cast.harbor(b, ns, "platform")
    cast.replicas(b, ns, "vault-agent", f"{HARBOR}/platform/vault-agent:1.19", 2)


def _warnings(b: Builder) -> None:
    ns = b.namespace(
        "data-science-sandbox",
        labels={"app.kubernetes.io/part-of": "kubeflow-profile"},
        pull=["hub-team", "hub-old", "regcred-gitlab"],
    )
    b.pull_secret(ns, "hub-team", {"https://index.docker.io/v1/": ("exampleml", FAKE)})
    b.pull_secret(ns, "hub-old", {"docker.io": ("exampleml-ci", f"{FAKE}-2")}, age_days=500)
    cast.gitlab(b, ns)
    cast.s3(b, ns)
    cast.replicas(b, ns, "explorer", f"{HARBOR}/sandbox/explorer:0.7.0", 6, running=True)
    cast.replicas(b, ns, "notebooks", "docker.io/exampleml/notebook:2026.3", 2)
    cast.replicas(b, ns, "reports", f"{GITLAB}/sandbox/reports:1.0", 1)

    ns = b.namespace(
        "team-speech",
        profile_of="speech@example.com",
        pull=["harbor-credential", "regcred-gitlab"],
        storage=["s3-models"],
    )
    cast.harbor(b, ns, "speech", days=9.3)
    cast.gitlab(b, ns)
    cast.s3(b, ns)
    cast.replicas(b, ns, "transcriber", f"{HARBOR}/speech/transcriber:3.2.0", 3)
    cast.replicas(b, ns, "annotator", f"{GITLAB}/speech/annotator:1.4.0", 1)
    cast.notebook(b, ns, "phonemes", f"{HARBOR}/speech/notebook:3.2.0")

    # Story 4: credentials baked into a Pod instead of a Secret.
    ns = b.namespace("team-climate", profile_of="climate@example.com")
    literal = [
        {"name": "AWS_ACCESS_KEY_ID", "value": "AKIA" + "DEMOONLYNOTREAL2"},
        {"name": "AWS_SECRET_ACCESS_KEY", "value": FAKE},
        {"name": "HF_TOKEN", "value": "hf_" + "DemoOnlyNotARealToken".ljust(34, "y")},
    ]
    b.pod(
        ns,
        "downscaling-0",
        "docker.io/library/python:3.13",
        owner=("StatefulSet", "downscaling"),
        env=literal,
        container="worker",
    )

    ns = b.namespace("team-support", profile_of="support@example.com")
    notes = {
        "kubernetes.io/service-account.name": "default-editor",
        "kubernetes.io/service-account.uid": "3f2b8c1e-2f0e-4b59-9d3e-8f4a9b7c6d5e",
    }
    legacy = cast.jwt(
        **{
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": ns,
            "kubernetes.io/serviceaccount/service-account.name": "default-editor",
        }
    )
    b.secret(
        ns,
        "default-editor-token",
        {
            "token": legacy,
            "namespace": ns,
            "ca.crt": tls_data("demo-ca", not_after=b.now + timedelta(days=3000), days=3650)["tls.crt"],
        },
        type="kubernetes.io/service-account-token",
        annotations=notes,
        age_days=700,
    )
    cast.replicas(b, ns, "helpdesk-bot", "ghcr.io/example/helpdesk-bot:1.0", 1)

    ns = b.namespace("team-energy", profile_of="energy@example.com", pull=["harbor-credential"])
    cast.harbor(b, ns, "platform")
    cast.token(b, ns, "grid-api-token", days=11.4, audience="grid.example.com")
    cast.replicas(b, ns, "load-forecast", f"{HARBOR}/platform/load-forecast:0.2", 1)

    ns = b.namespace("team-translate", profile_of="translate@example.com", pull=["harbor-credential", "hub-login"])
    cast.harbor(b, ns, "platform")
    b.secret(ns, "hub-login", {".dockerconfigjson": cast.config_json({"docker.io": ("exampleml", FAKE)})})
    cast.replicas(b, ns, "translator", f"{HARBOR}/platform/translator:1.6", 2)
