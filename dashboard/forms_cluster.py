"""The form of a cluster. Its kubeconfig is written, never shown back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from dashboard.encryption import encrypt
from dashboard.kubeconfig_draft import seal, unseal
from scanner.cluster import BadConfiguration
from scanner.cluster.describing import refuse_programs_of
from scanner.models import AuditEntry, Cluster, ClusterAccess
from scanner.pasted_kubeconfig import LARGEST, BadKubeconfig, ManyContexts, Taken, take
from scanner.scan.choosing import LONGEST, SHORTEST, Trial, problems_of, try_cluster

MOST_FILES: Final = 200
#: How somebody gets a kubeconfig that may read, and do nothing else: words, and the commands to run then.
LEAST_RIGHTS: Final = (
    (
        "A ServiceAccount that may read, and nothing else:",
        """\
kubectl create namespace credboard
kubectl create serviceaccount reader --namespace credboard
kubectl apply -f docs/rbac/cluster-reader.yaml
kubectl create clusterrolebinding credboard-reader --clusterrole credboard-reader --serviceaccount credboard:reader""",
    ),
    (
        "reader.kubeconfig, to be pasted above. Its token lasts a year; Credboard warns two weeks before it ends:",
        """\
kubectl config view --minify --raw --flatten \\
  --output 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d > ca.crt
kubectl --kubeconfig reader.kubeconfig config set-cluster prod --certificate-authority ca.crt --embed-certs \\
  --server "$(kubectl config view --minify --output 'jsonpath={.clusters[0].cluster.server}')"
kubectl --kubeconfig reader.kubeconfig config set-credentials reader \\
  --token "$(kubectl create token reader --namespace credboard --duration 8760h)"
kubectl --kubeconfig reader.kubeconfig config set-context prod --cluster prod --user reader""",
    ),
)
KEEP, PASTE, FILE, HERE = "keep", "paste", "file", "here"


class _WriteOnly(forms.Textarea):
    """What was typed is not shown back."""

    def format_value(self, value: Any) -> str:
        return ""


class _Globs(forms.CharField):
    """Globs divided by white space, as a list."""

    widget = forms.Textarea(attrs={"rows": 2, "class": "mono", "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return (super().to_python(value) or "").split()


def mounted_kubeconfigs() -> list[str]:
    """The files that a page may name: those in the folder of kubeconfigs, but for Kubernetes' own bookkeeping there."""
    folder = settings.KUBECONFIG_DIR
    try:
        found = sorted(path for path in Path(folder).iterdir() if path.is_file()) if folder else []
    except OSError:
        return []
    return [str(path.absolute()) for path in found if not path.name.startswith(".")][:MOST_FILES]


class ClusterForm(forms.Form):
    """A new cluster, or another state of `cluster`. After `is_valid()`, `cluster` is as it would be saved."""

    name = forms.CharField(label="Name", max_length=100, help_text="Shown on pages and in their addresses.")
    source = forms.ChoiceField(label="Kubeconfig", widget=forms.RadioSelect)
    kubeconfig = forms.CharField(
        label="Paste the kubeconfig",
        required=False,
        strip=False,
        widget=_WriteOnly(attrs={"rows": 6, "class": "mono", "autocomplete": "off", "spellcheck": "false"}),
        help_text="It is stored encrypted and not shown again. Everything must be embedded: "
        "kubectl config view --raw --flatten --minify prints it so.",
    )
    upload = forms.FileField(label="Or upload it", required=False)
    draft = forms.CharField(required=False, widget=forms.HiddenInput)
    file = forms.ChoiceField(label="File", required=False)
    context = forms.CharField(
        label="Context",
        max_length=253,
        required=False,
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
        help_text="Empty for the only one, or the current one of a file.",
    )
    unverified = forms.BooleanField(
        label="Believe whoever answers at this address (insecure-skip-tls-verify)", required=False
    )
    scan_interval = forms.IntegerField(
        label="Seconds between scans", min_value=SHORTEST, max_value=LONGEST, help_text="From start to start."
    )
    include = _Globs(label="Only these Namespaces", required=False, help_text="Names with * and ?; empty for all.")
    exclude = _Globs(label="Never these", required=False, help_text="Such as kube-*. Wins over the others.")
    label_selector = forms.CharField(
        label="Labels of the Namespace",
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false"}),
        help_text="As kubectl -l takes it: tier=prod,team in (vision, nlp)",
    )
    anyway = forms.BooleanField(label="Save it all the same", required=False)

    def __init__(self, data: Any = None, files: Any = None, *, user: Any, cluster: Cluster | None = None) -> None:
        self.user = user
        self.is_new = cluster is None
        self.cluster = cluster or Cluster(scan_interval=settings.SCAN_INTERVAL)
        self._taken: Taken | None = None
        self._pasted = ""
        self.contexts: tuple[str, ...] = ()
        self.asks_unverified = False
        super().__init__(data, files, initial=self._initial())
        self._offer_sources()
        if not self.is_new:
            self.fields["name"].disabled = True
            self.fields["name"].help_text = "Addresses of pages hold it, so it stays."

    def _initial(self) -> dict[str, Any]:
        fields = ("name", "context", "scan_interval", "include", "exclude", "label_selector")
        return {"source": PASTE if self.is_new else KEEP, **{name: getattr(self.cluster, name) for name in fields}}

    def _offer_sources(self) -> None:
        files = mounted_kubeconfigs()
        choices = [] if self.is_new else [(KEEP, "As it is")]
        choices.append((PASTE, f"{'Pasted' if self.is_new else 'Another one, pasted'} or uploaded: it is stored here"))
        choices += [(FILE, "A file that is mounted into Credboard")] if files else []
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            choices.append((HERE, "None: the cluster that Credboard runs in"))
        self.fields["source"].choices = choices  # type: ignore[attr-defined]
        self.fields["file"].choices = [("", "Choose one"), *((one, one) for one in files)]  # type: ignore[attr-defined]

    @property
    def kept(self) -> str:
        """A pasted kubeconfig for the hidden field, so that it need not be pasted again; "" without one."""
        return seal(self._pasted, user=self.user) if self._pasted else ""

    @property
    def least_rights(self) -> tuple[tuple[str, str], ...]:
        return LEAST_RIGHTS

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        cluster = self.cluster
        for name in ("name", "context", "scan_interval", "include", "exclude", "label_selector"):
            if name in data:
                setattr(cluster, name, data[name])
        source = data.get("source")
        if source == PASTE:
            self._clean_pasted(data)
        elif source == FILE:
            self._clean_file(data)
        elif source == HERE:
            cluster.kubeconfig = cluster.context = ""
        elif source == KEEP and self.is_stored:
            cluster.context = self.cluster.access.context
        for name, words in problems_of(cluster).items():
            if name not in self.errors:
                self.add_error(name if name in self.fields else None, [*words])
        return data

    @property
    def is_stored(self) -> bool:
        """Whether the kubeconfig that it has is one that was pasted: of that one context, no other can be chosen."""
        row = getattr(self.cluster, "access", None) if self.cluster.pk else None
        return row is not None and row.is_stored and not self.cluster.kubeconfig

    @sensitive_variables()
    def _clean_pasted(self, data: dict[str, Any]) -> None:
        self.cluster.kubeconfig = ""
        upload: UploadedFile[bytes] | None = data.get("upload")
        text: str = data.get("kubeconfig") or ""
        if upload is not None:
            text = self._read(upload)
        elif not text.strip():
            text = unseal(data.get("draft") or "", user=self.user)
        if "upload" in self.errors:
            return
        if not text.strip():
            self.add_error("kubeconfig", "Paste a kubeconfig, or upload one.")
            return
        try:
            self._taken = take(text, data.get("context") or "")
        except ManyContexts as error:
            self._pasted, self.contexts = text, error.names
            self.add_error("context", f"{error} It has: {', '.join(error.names[:30])}.")
        except BadKubeconfig as error:
            self.add_error("kubeconfig", f"{error} Not shown back: paste it again.")
        else:
            self._pasted = text
            self.cluster.context = self._taken.access.context
            self.asks_unverified = self._taken.access.is_unverified
            if self.asks_unverified and not data.get("unverified"):
                words = "Tick this only if nothing better is to be had: whoever answers there gets the token."
                self.add_error("unverified", f"It does not check who answers (insecure-skip-tls-verify). {words}")

    def _read(self, upload: UploadedFile[bytes]) -> str:
        if (upload.size or 0) > LARGEST:
            self.add_error("upload", f"It is larger than {LARGEST // 1024} KiB: give only the context that is needed.")
            return ""
        try:
            return bytes(upload.read()).decode("utf-8")
        except UnicodeDecodeError:
            self.add_error("upload", "It is not a text file.")
            return ""

    def _clean_file(self, data: dict[str, Any]) -> None:
        if not data.get("file"):
            self.add_error("file", "Choose a file.")
            return
        self.cluster.kubeconfig = data["file"]
        try:
            refuse_programs_of(data["file"], data.get("context") or None)
        except BadConfiguration as error:
            self.add_error("file", f"{error} {error.remedy}".strip())

    @sensitive_variables()
    def trial(self) -> Trial:
        """How the cluster answers as it would be saved."""
        taken = self._taken
        return try_cluster(self.cluster, kubeconfig=taken.text if taken else "", access=taken.access if taken else None)

    def may_save(self, trial: Trial) -> bool:
        """Whether what was found is good, or was seen and taken into account."""
        return trial.is_good or (bool(self.cleaned_data["anyway"]) and not trial.is_unusable)

    @sensitive_variables()
    def save(self, trial: Trial) -> Cluster:
        """Save it, have it scanned, and write down who did. What scans note in the same row meanwhile stays."""
        cluster, is_new = self.cluster, self.is_new
        cluster.next_scan_at = timezone.now()
        saved = ["kubeconfig", "context", "scan_interval", "include", "exclude", "label_selector", "next_scan_at"]
        with transaction.atomic():
            cluster.save(force_insert=is_new, update_fields=None if is_new else saved)
            self._save_access(trial)
            note(cluster, "add-cluster" if is_new else "change-cluster", self.user, changed=self._changed())
        return cluster

    def _changed(self) -> list[str]:
        """What of the cluster is another, in the words of its fields."""
        changed = set(self.changed_data) & {"scan_interval", "include", "exclude", "label_selector"}
        return sorted(changed | (set() if self.cleaned_data["source"] == KEEP else {"kubeconfig"}))

    @sensitive_variables()
    def _save_access(self, trial: Trial) -> None:
        source, cluster = self.cleaned_data["source"], self.cluster
        if source == KEEP and self.is_stored:
            return
        if source != KEEP:
            ClusterAccess.objects.filter(cluster=cluster).delete()
        access = self._taken.access if self._taken else trial.access
        if access is not None:
            ClusterAccess.objects.note(cluster, access)
        if self._taken is not None:
            ClusterAccess.objects.filter(cluster=cluster).update(kubeconfig=encrypt(self._taken.text))


class RemoveClusterForm(forms.Form):
    """Asks for the name of the cluster that is to go."""

    name = forms.CharField(
        label="Its name, to be sure", widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )

    def __init__(self, *args: Any, cluster: Cluster, **kwargs: Any) -> None:
        self._cluster = cluster
        super().__init__(*args, **kwargs)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self._cluster.name:
            raise ValidationError(f"That is not its name. Type {self._cluster.name} to remove it.")
        return name


def note(cluster: Cluster, action: str, user: Any, *, outcome: str = AuditEntry.Outcome.DONE, **details: Any) -> None:
    """Write down who did what to `cluster`."""
    AuditEntry.objects.create(
        actor=user.get_username(),
        action=action,
        cluster=cluster.name,
        object=f"Cluster/{cluster.name}",
        outcome=outcome,
        details=details,
    )
