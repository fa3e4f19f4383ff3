"""Signing in and out, and one's own password.

A one-time password signs nobody in: it opens the page where its user chooses a password, and that signs them in. So no
other page has to ask whether a password is still to be changed.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from dashboard.forms import NewPasswordForm, OwnPasswordForm, SignInForm
from dashboard.models import OneTimePassword

#: Session key of someone who typed their one-time password: [user id, hash of the password, when, where to go then].
CHOOSING: Final = "choosing_password"
CHOOSING_SECONDS: Final = 15 * 60
BACKEND: Final = "django.contrib.auth.backends.ModelBackend"


@method_decorator(sensitive_post_parameters(), name="dispatch")
class SignIn(LoginView):
    template_name = "people/sign_in.html"
    form_class = SignInForm
    redirect_authenticated_user = True

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if getattr(request, "htmx", None):
            # The session ended while a page was open: the whole page goes to sign in, not the part that was asked for.
            here = request.htmx.current_url_abs_path or resolve_url("matrix")  # type: ignore[attr-defined]
            return HttpResponse(headers={"HX-Redirect": f"{reverse('login')}?{urlencode({'next': here})}"})
        return super().get(request, *args, **kwargs)

    def get_success_url(self) -> str:
        """Where the person wanted to go, unless that is this page: it leads on who is signed in."""
        wanted: str = super().get_success_url()
        return resolve_url("matrix") if wanted == self.request.path else wanted

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        if not OneTimePassword.objects.has(user):
            return super().form_valid(form)
        self.request.session.flush()
        proof = user.get_session_auth_hash()
        self.request.session[CHOOSING] = [user.pk, proof, timezone.now().timestamp(), self.get_success_url()]
        return HttpResponseRedirect(reverse("new_password"))


@login_not_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def new_password(request: HttpRequest) -> HttpResponseBase:
    """Choose a password in place of a one-time password that was typed a moment ago."""
    user = _choosing(request)
    if user is None:
        return redirect("login")
    form = NewPasswordForm(user, request.POST or None)
    if not form.is_valid():
        return render(request, "people/new_password.html", {"form": form, "chosen_by": user.get_username()})
    following = request.session[CHOOSING][3]
    form.save()
    OneTimePassword.objects.spend(user)
    request.session.flush()
    login(request, user, backend=BACKEND)
    return HttpResponseRedirect(following)


def _choosing(request: HttpRequest) -> User | None:
    pk, proof, at, _ = request.session.get(CHOOSING) or (0, "", 0.0, "")
    if timezone.now().timestamp() - at > CHOOSING_SECONDS:
        return None
    user = OneTimePassword.objects.user(pk)
    return user if user and user.get_session_auth_hash() == proof else None


@method_decorator(sensitive_post_parameters(), name="dispatch")
@method_decorator(never_cache, name="dispatch")
class OwnPassword(PasswordChangeView):
    template_name = "people/password.html"
    form_class = OwnPasswordForm
    success_url = reverse_lazy("password_changed")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated and not request.user.has_usable_password():
            raise Http404("This person's password is not kept here")
        return super().dispatch(request, *args, **kwargs)


@never_cache
@require_safe
def password_changed(request: HttpRequest) -> HttpResponse:
    return render(request, "people/password.html", {"changed": True})
