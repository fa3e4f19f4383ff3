"""The form of one's own report: how often, when, where to."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from dashboard.models import Subscription
from dashboard.reports.recipients import valid_address
from dashboard.schedule import WEEKDAYS, Frequency

_FREQUENCIES: Final = (
    (Frequency.OFF, "Never"),
    (Frequency.DAILY, "Every day"),
    (Frequency.WEEKLY, "Every week"),
    (Frequency.MONTHLY, "Every month, in its first week"),
)


class ReportForm(forms.Form):
    """Of `subscription`, which may be a new one. Whether another address may be used at once is not for this form."""

    frequency = forms.ChoiceField(label="How often", choices=_FREQUENCIES, widget=forms.RadioSelect)
    weekday = forms.TypedChoiceField(label="Day", coerce=int, choices=tuple(enumerate(WEEKDAYS)))
    hour = forms.TypedChoiceField(label="Hour", coerce=int, choices=[(hour, f"{hour:02}:00") for hour in range(24)])
    time_zone = forms.ChoiceField()
    address = forms.CharField(
        label="E-mail address",
        max_length=254,
        widget=forms.EmailInput(
            attrs={"autocomplete": "email", "spellcheck": "false", "aria-describedby": "id_address_helptext"}
        ),
    )
    sends_when_well = forms.BooleanField(
        label="Also when nothing is wrong", required=False, help_text="A short mail that says so."
    )

    def __init__(self, subscription: Subscription, data: Any = None) -> None:
        self.subscription = subscription
        initial = {name: getattr(subscription, name) for name in self.base_fields}
        super().__init__(data, initial=initial)
        self.fields["time_zone"] = forms.ChoiceField(
            label="Time zone",
            help_text="Of the day and hour above.",
            choices=_time_zones(subscription.time_zone),
        )

    def clean_address(self) -> str:
        address = valid_address(self.cleaned_data["address"])
        if not address:
            raise ValidationError("That is no e-mail address. Write one like ada@example.com.", code="address")
        if Subscription.objects.taken(address, besides=self.subscription):
            raise ValidationError(
                "Another subscription uses this address already. Unsubscribe it by the link in its mails first.",
                code="taken",
            )
        return address

    def choices(self) -> dict[str, Any]:
        """What was chosen, but for the address. Of a valid form."""
        return {name: value for name, value in self.cleaned_data.items() if name != "address"}


def _time_zones(present: str) -> list[tuple[str, str]]:
    """All of them, by name; also `present`, should the tz database have dropped it."""
    names = _known()
    return [(name, name.replace("_", " ")) for name in (names if present in names else (present, *names))]


@cache
def _known() -> tuple[str, ...]:
    places = [
        name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/"))
    ]
    return ("UTC", *sorted(places))
