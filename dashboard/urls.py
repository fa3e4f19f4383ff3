"""One URL per state; every GET is a page of its own."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path, register_converter

from dashboard.converters import CredentialConverter, NameConverter
from dashboard.views import audit, cells, create, health, matrix, namespaces, people, settings

register_converter(NameConverter, "name")
register_converter(CredentialConverter, "credential")

urlpatterns = [
    path("", matrix.matrix, name="matrix"),
    path("n/<name:cluster>/<name:namespace>/", namespaces.namespace, name="namespace"),
    path("n/<name:cluster>/<name:namespace>/cells/<credential:credential>/", cells.cell, name="cell"),
    path("n/<name:cluster>/<name:namespace>/scan/", matrix.scan_namespace, name="scan-namespace"),
    path("n/<name:cluster>/<name:namespace>/create/<credential:credential>/", create.create, name="create"),
    path("n/<name:cluster>/<name:namespace>/created/<credential:credential>/", create.created, name="created"),
    path("audit/", audit.audit, name="audit"),
    path("settings/", settings.settings, name="settings"),
    path("sign-in/", people.SignIn.as_view(), name="login"),
    path("sign-in/new-password/", people.new_password, name="new_password"),
    path("sign-out/", LogoutView.as_view(), name="logout"),
    path("account/password/", people.OwnPassword.as_view(), name="password"),
    path("account/password/changed/", people.password_changed, name="password_changed"),
    path("scan/<name:cluster>/", matrix.scan_now, name="scan-now"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
