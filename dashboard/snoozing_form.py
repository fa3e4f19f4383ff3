"""The form that acknowledges or snoozes: why, and for how long."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.utils import timezone

from dashboard.models.acknowledgement import MAX_NOTE

#: What "for" offers, in days; "date" asks for one.
LENGTHS: Final = (("1", "1 day"), ("7", "1 week"), ("30", "1 month"), ("date", "until a date"))
WAYS: Final = (
    ("acknowledge", "Acknowledge: silent until then, or until it changes"),
    ("snooze", "Snooze: silent until then, whatever changes"),
)


class AcknowledgeForm(forms.Form):
    """`cleaned_data["until"]` is aware: the end of the day for a date, in the reader's time zone. Whether it is allowed
    is for `dashboard.acknowledging` to say."""

    note = forms.CharField(
        label="Why",
        max_length=MAX_NOTE,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="What is being done about it, for whoever looks next. Never a password or token.",
        error_messages={"required": "Say why, so that others know what is being done about it."},
    )
    way = forms.ChoiceField(label="What", choices=WAYS, initial="acknowledge", widget=forms.RadioSelect)
    length = forms.ChoiceField(label="For", choices=LENGTHS, initial="7", widget=forms.RadioSelect)
    date = forms.DateField(
        label="Until the end of", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, data: Any = None, *, now: datetime) -> None:
        super().__init__(data, label_suffix="")
        self._now = now
        today = timezone.localtime(now).date()
        limits = {"min": f"{today:%Y-%m-%d}", "max": f"{today + timedelta(days=365):%Y-%m-%d}"}
        self.fields["date"].widget.attrs.update(limits)

    @property
    def is_snooze(self) -> bool:
        return bool(self.cleaned_data["way"] == "snooze")

    def clean(self) -> dict[str, Any]:
        length, day = self.cleaned_data.get("length"), self.cleaned_data.get("date")
        if length == "date":
            if day is None:
                if "date" not in self.errors:
                    self.add_error("date", "Choose the day on whose evening it ends.")
                return self.cleaned_data
            self.cleaned_data["until"] = timezone.make_aware(datetime.combine(day, time(23, 59, 59)))
        elif length:
            self.errors.pop("date", None)  # not asked for
            self.cleaned_data["until"] = self._now + timedelta(days=int(length))
        return self.cleaned_data
