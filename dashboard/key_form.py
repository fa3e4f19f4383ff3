"""The form that makes an API key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from dashboard.models import DEFAULT_LIFE, LONGEST_LIFE, ApiKey
from scanner.models import Cluster, Namespace

LIVES: Final = (30, DEFAULT_LIFE.days, 180, LONGEST_LIFE.days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new key with its text, for the one page that shows it."""

    key: ApiKey
    token: str

    def __repr__(self) -> str:
        return f"Made({self.key.prefix})"


class KeyForm(forms.Form):
    """What a key is called, what it may do, for how long, and, where wanted, where."""

    name = forms.CharField(
        label="Name", max_length=100, help_text="What uses it, so that you know later which one to revoke."
    )
    scope = forms.ChoiceField(
        label="May",
        choices=[(ApiKey.READ, "read"), (ApiKey.WRITE, "read, ask for scans, and acknowledge")],
        initial=ApiKey.READ,
    )
    days = forms.TypedChoiceField(
        label="Ends in", coerce=int, choices=[(days, f"{days} days") for days in LIVES], initial=DEFAULT_LIFE.days
    )
    cluster = forms.ModelChoiceField(
        label="Only this cluster", queryset=Cluster.objects.none(), required=False, empty_label="every cluster"
    )
    namespace = forms.CharField(
        label="Only this Namespace",
        max_length=253,
        required=False,
        help_text="Leave it empty for all that you may see.",
    )

    def __init__(self, data: Any = None, *, user: Any) -> None:
        super().__init__(data)
        self._user = user
        self.fields["cluster"].queryset = Cluster.objects.visible_to(user)  # type: ignore[attr-defined]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not name.isprintable():
            raise ValidationError("Use letters, digits and signs that can be seen.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        name, cluster = cleaned.get("namespace"), cleaned.get("cluster")
        if name and cluster is None:
            self.add_error("cluster", "Choose the cluster that the Namespace is in.")
        elif name and cluster and Namespace.objects.visible_to(self._user).in_cluster(cluster.name, name) is None:
            self.add_error("namespace", "You can see no Namespace of this name in this cluster.")
        return cleaned

    def issue(self, *, now: datetime) -> Made:
        """Make the key that a valid form asks for."""
        told = self.cleaned_data
        key, token = ApiKey.objects.issue(
            self._user,
            name=told["name"],
            scope=told["scope"],
            expires_at=now + timedelta(days=told["days"]),
            now=now,
            cluster=told["cluster"],
            namespace=told["namespace"],
        )
        return Made(key=key, token=token)
