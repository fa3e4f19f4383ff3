"""Forms: signing in, and creating a Secret. What is secret is never rendered back, whatever went wrong."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.password_validation import password_validators_help_texts
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from dashboard.creation import Known
from dashboard.identity import client_address
from dashboard.models import FailedSignIn
from scanner.credential import CredentialKind, Unparsable
from scanner.credential import Field as KindField
from scanner.provision import Refusal

#: RFC 1123 subdomain, as `IsDNS1123Subdomain` of apimachinery checks the names of Secrets.
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
LONGEST_NAME: Final = 253
#: A Secret holds at most 1 MiB (`MaxSecretSize` of core/v1); base64 and the object around it take their part.
LONGEST_VALUE: Final = 700_000

NOT_SHOWN_BACK: Final = "Not shown back. Type or paste it again."


class SignInForm(AuthenticationForm):
    """Django's, with a limit on failures for one user name from one address."""

    error_messages = {  # noqa: RUF012  (Django's own way)
        **AuthenticationForm.error_messages,
        "invalid_login": "That user name and password do not go together. Both are case-sensitive.",
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].label = "User name"

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username")
        if not username or not self.cleaned_data.get("password"):
            return self.cleaned_data
        address = client_address(self.request) if self.request else ""
        now = timezone.now()
        allowed_at = FailedSignIn.objects.begin(username, address, now=now)
        if allowed_at is not None:
            minutes = max(1, math.ceil((allowed_at - now).total_seconds() / 60))
            plural = "" if minutes == 1 else "s"
            raise ValidationError(f"Too many sign-ins failed. Try again in {minutes} minute{plural}.", code="too_many")
        cleaned = super().clean()
        FailedSignIn.objects.forget(username, address)
        return cleaned


class _PlainHelp:
    """Django's list of rules for a new password as one line of text."""

    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password1"].help_text = " ".join(password_validators_help_texts())


class NewPasswordForm(_PlainHelp, SetPasswordForm):  # type: ignore[type-arg]  # not generic at run time
    """A password in place of a one-time password, which may not simply be kept."""

    @sensitive_variables()
    def clean_new_password1(self) -> str:
        password: str = self.cleaned_data["new_password1"]
        if self.user.check_password(password):
            raise ValidationError("This is the one-time password. Choose one of your own.")
        return password


class OwnPasswordForm(_PlainHelp, PasswordChangeForm):
    error_messages = {  # noqa: RUF012  (Django's own way)
        **PasswordChangeForm.error_messages,
        "password_incorrect": "That is not your present password.",
    }


class WriteOnlyTextarea(forms.Textarea):
    """Sends a value and never gets one back."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class CreateForm(forms.Form):
    """A pull Secret: what it is called, what is in it, who uses it. The inputs for its content come from the kind.

    `taken` are the names of pull Secrets that the last scan saw.
    """

    LOGIN: Final = "login"
    PASTE: Final = "paste"

    name = forms.CharField(
        label="Name of the Secret", max_length=LONGEST_NAME, widget=forms.TextInput(attrs={"class": "mono"})
    )
    how = forms.ChoiceField(
        label="Credential",
        choices=[(LOGIN, "User name and password"), (PASTE, "Paste config.json")],
        widget=forms.RadioSelect,
        initial=LOGIN,
    )
    service_accounts = forms.MultipleChoiceField(
        label="ServiceAccounts that pull with it", required=False, widget=forms.CheckboxSelectMultiple
    )
    restart = forms.BooleanField(label="Start the waiting Pods again", required=False, initial=True)

    def __init__(self, data: Any = None, *, kind: CredentialKind, known: Known, all_accounts: list[str]) -> None:
        initial = {"name": known.secret, "service_accounts": list(known.accounts), "server": known.server}
        super().__init__(data, initial=initial)
        if kind.build is None:
            raise ValueError(f"Nothing can be created of the kind {kind.slug}")
        self._build = kind.build
        self.is_secret_forgotten = False
        self.kind = kind
        self.known = known
        # What a ServiceAccount list of the last scan does not know yet is still checked by the API server.
        accounts = sorted({*all_accounts, *known.accounts}, key=lambda name: (name not in known.accounts, name))
        self.fields["service_accounts"].choices = [(name, name) for name in accounts]  # type: ignore[attr-defined]
        for field in self._inputs:
            self.fields[field.name] = _input(field)

    @property
    def _inputs(self) -> list[KindField]:
        # Registries do not ask for an e-mail address, and one more input is one more question.
        return [field for field in self.kind.fields if field.name != "email"]

    @property
    def login_fields(self) -> list[forms.BoundField]:
        return [self[field.name] for field in self._inputs if not field.multiline]

    @property
    def paste_fields(self) -> list[forms.BoundField]:
        return [self[field.name] for field in self._inputs if field.multiline]

    @property
    def secret_inputs(self) -> list[str]:
        return [field.name for field in self._inputs if field.secret]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not _NAME.fullmatch(name):
            raise ValidationError(
                "Use lower-case letters, digits, dashes and dots; begin and end with a letter or digit.", code="dns"
            )
        return name

    @sensitive_variables()
    def build(self) -> dict[str, bytes] | None:
        """The data of the Secret; None after adding an error where it belongs. Call it once, on a valid form."""
        is_paste = self.cleaned_data["how"] == self.PASTE
        wanted = {field.name for field in self._inputs if field.multiline == is_paste}
        values = {name: self.cleaned_data.get(name) or "" for name in wanted}
        where = self.secret_inputs[-1 if is_paste else 0]
        if is_paste and not values[where].strip():
            self.add_error(where, "Paste the content of the file, or choose user name and password.")
            return None
        if not is_paste and values[where] != values[where].strip():
            # Copied along with a token, mostly, and told by nobody before the registry says 401.
            self.add_error(where, "It begins or ends with a blank. If that is right, paste it as a config.json.")
            return None
        try:
            return self._build({**values, "registry": self.known.registry})
        except Unparsable as error:
            blamed = _blamed(str(error), values, where)
            self.add_error(blamed, str(error))
            if blamed != where and not values[where]:
                self.add_error(where, "Fill in this too.")
            return None

    def refuse(self, refusal: Refusal) -> None:
        """Show why Kubernetes did not take it, beside the input it concerns."""
        where = refusal.field if refusal.field in self.fields else None
        self.add_error(where, refusal.message)

    def forget_secrets(self) -> None:
        """Drop what was typed into secret inputs; the page that comes back says so."""
        data: Any = self.data
        self.data = data = data.copy()
        for name in self.secret_inputs:
            self.cleaned_data.pop(name, None)
            if "".join(data.pop(name, ())):
                self.is_secret_forgotten = True
                self[name].help_text = NOT_SHOWN_BACK


def _blamed(words: str, values: dict[str, str], otherwise: str) -> str:
    """The empty input that `words` ask for, else `otherwise`."""
    if words.startswith("Fill in"):
        return next((name for name in ("server", "username") if name in values and not values[name]), otherwise)
    return otherwise


def _input(field: KindField) -> forms.Field:
    attrs = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
    widget: forms.Widget
    if field.multiline:
        widget = WriteOnlyTextarea(attrs={**attrs, "rows": 7, "class": "mono"})
    elif field.secret:
        # "new-password" keeps browsers from filling in, or offering to keep, a password for this site.
        widget = forms.PasswordInput(render_value=False, attrs={**attrs, "autocomplete": "new-password"})
    else:
        widget = forms.TextInput(attrs=attrs)
    return forms.CharField(
        label=field.label,
        help_text=field.help,
        required=False,
        strip=not field.secret,
        max_length=LONGEST_VALUE,
        widget=widget,
    )
