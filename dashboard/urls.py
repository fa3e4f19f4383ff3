"""One URL per state; every GET is a page of its own."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from dashboard.views import audit, cells, create, health, matrix, namespaces, people

urlpatterns = [
    path("", matrix.matrix, name="matrix"),
    path("n/<cluster>/<namespace>/", namespaces.namespace, name="namespace"),
    path("n/<cluster>/<namespace>/cells/<path:credential>/", cells.cell, name="cell"),
    path("n/<cluster>/<namespace>/scan/", matrix.scan_namespace, name="scan-namespace"),
    path("n/<cluster>/<namespace>/create/<path:credential>/", create.create, name="create"),
    path("n/<cluster>/<namespace>/created/<path:credential>/", create.created, name="created"),
    path("audit/", audit.audit, name="audit"),
    path("sign-in/", people.SignIn.as_view(), name="login"),
    path("sign-in/new-password/", people.new_password, name="new_password"),
    path("sign-out/", LogoutView.as_view(), name="logout"),
    path("account/password/", people.OwnPassword.as_view(), name="password"),
    path("account/password/changed/", people.password_changed, name="password_changed"),
    path("scan/<cluster>/", matrix.scan_now, name="scan-now"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
