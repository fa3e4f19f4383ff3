"""The form of an alert route. Its address is written, never shown back."""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from dashboard.alerting.sending import BadAddress, check_address
from dashboard.encryption import encrypt
from dashboard.models import AlertRoute
from scanner.check import Status
from scanner.label_selector import InvalidSelector, parse_label_selector
from scanner.models import Cluster

LONGEST_ADDRESS: Final = 2_000
_SEVERITIES: Final = [
    (Status.CRITICAL.value, "Critical"),
    (Status.WARNING.value, "Warning"),
    (Status.UNKNOWN.value, "Unknown"),
]


def _time(label: str) -> forms.TimeField:
    return forms.TimeField(label=label, required=False, widget=forms.TimeInput(format="%H:%M", attrs={"type": "time"}))


def _zones() -> list[tuple[str, str]]:
    return [(zone, zone) for zone in sorted(available_timezones() - {"localtime"})]


class AlertRouteForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A new route, or another state of one that is there; then an empty address leaves it as it is."""

    address = forms.CharField(
        label="Address",
        max_length=LONGEST_ADDRESS,
        required=False,
        widget=forms.PasswordInput(attrs={"class": "mono", "autocomplete": "new-password", "spellcheck": "false"}),
        help_text="An Apprise address, or the webhook address that Slack, Discord or Teams shows. It is stored "
        "encrypted and not shown again.",
    )
    severities = forms.MultipleChoiceField(
        label="Tell when a cell turns",
        choices=_SEVERITIES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        initial=[Status.CRITICAL.value],
    )
    cluster = forms.ModelChoiceField(
        label="Cluster", queryset=Cluster.objects.order_by("name"), required=False, empty_label="Every cluster"
    )
    quiet_from = _time("Quiet from")
    quiet_until = _time("Quiet until")
    time_zone = forms.ChoiceField(label="Time zone", initial="UTC", choices=_zones)

    class Meta:
        model = AlertRoute
        fields = (
            "name", "severities", "on_expiring", "on_recovery", "cluster", "label_selector", "owner", "credential",
            "quiet_from", "quiet_until", "time_zone", "critical_breaks_quiet", "is_enabled",
        )  # fmt: skip
        labels = {  # noqa: RUF012  (Django's own way)
            "on_expiring": "Expires soon, whether critical or not yet",
            "on_recovery": "Recovers, after it was told to be in trouble",
            "label_selector": "Labels of the Namespace",
            "critical_breaks_quiet": "Critical breaks the quiet",
            "is_enabled": "Enabled",
        }
        help_texts = {  # noqa: RUF012
            "label_selector": "As kubectl -l takes it: tier=prod,team in (vision, nlp)",
            "owner": "A name with * and ?, such as *@example.com",
            "credential": "A column with * and ?, such as registry/harbor.example.com or registry/*",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("label_selector", "owner", "credential"):
            self.fields[name].widget.attrs["class"] = "mono"
        if not self.is_new:
            self.fields["address"].help_text = "Leave it empty to keep the present one, which is not shown."

    @property
    def is_new(self) -> bool:
        return self.instance.pk is None

    def clean_label_selector(self) -> str:
        text: str = self.cleaned_data["label_selector"]
        try:
            parse_label_selector(text)
        except InvalidSelector as error:
            raise ValidationError(f"Not a label selector: {error}.") from None
        return text

    @sensitive_variables()
    def clean_address(self) -> str:
        """Checks it and says what is wrong with it without quoting it."""
        url: str = self.cleaned_data["address"]
        if not url:
            if self.is_new:
                raise ValidationError("An address is needed to send anything.")
            return ""
        try:
            self.instance.service = check_address(url).schema
        except BadAddress as error:
            raise ValidationError(f"{error} Not shown back: type or paste it again.") from None
        return url

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        begins, ends = data.get("quiet_from"), data.get("quiet_until")
        if (begins is None) != (ends is None) and not {"quiet_from", "quiet_until"} & self.errors.keys():
            self.add_error("quiet_until" if ends is None else "quiet_from", "Quiet hours need a beginning and an end.")
        elif begins is not None and begins == ends:
            self.add_error("quiet_until", "This would be quiet all day: switch the route off for that.")
        if not data.get("severities") and not data.get("on_expiring"):
            self.add_error("severities", "Tick at least one, or the route has nothing to tell.")
        return data

    @sensitive_variables()
    def keep(self, *, actor: str) -> AlertRoute:
        """Save the route. Messages that wait are looked at again, since what holds them back may be over."""
        route: AlertRoute = self.instance
        now = timezone.now()
        if url := self.cleaned_data["address"]:
            route.url = encrypt(url)
            route.failing_since = route.next_try_at = None
            route.failures, route.last_error = 0, ""
        is_switched = not self.is_new and "is_enabled" in self.changed_data
        if self.is_new:
            route.created_by = actor
        self.save()
        if is_switched:
            route.start_anew(now=now)
        route.end_of_waiting(now=now)
        return route
