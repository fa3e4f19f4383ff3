"""One URL per state; every GET is a page of its own."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import include, path, register_converter

from dashboard.api import app as api
from dashboard.converters import CredentialConverter, NameConverter
from dashboard.views import (
    acknowledge,
    audit,
    cells,
    clusters,
    create,
    expiry,
    findings,
    health,
    machines,
    matrix,
    metrics,
    namespaces,
    people,
    reports,
    reports_by_mail,
    settings,
)

register_converter(NameConverter, "name")
register_converter(CredentialConverter, "credential")

urlpatterns = [
    path("", matrix.matrix, name="matrix"),
    path("n/<name:cluster>/<name:namespace>/", namespaces.namespace, name="namespace"),
    path("n/<name:cluster>/<name:namespace>/cells/<credential:credential>/", cells.cell, name="cell"),
    path("n/<name:cluster>/<name:namespace>/scan/", matrix.scan_namespace, name="scan-namespace"),
    path("n/<name:cluster>/<name:namespace>/create/<credential:credential>/", create.create, name="create"),
    path("n/<name:cluster>/<name:namespace>/created/<credential:credential>/", create.created, name="created"),
    path(
        "n/<name:cluster>/<name:namespace>/acknowledge/<credential:credential>/",
        acknowledge.acknowledge,
        name="acknowledge",
    ),
    path(
        "n/<name:cluster>/<name:namespace>/acknowledgement/end/<credential:credential>/",
        acknowledge.acknowledgement_end,
        name="acknowledgement-end",
    ),
    path("expiry/", expiry.expiry, name="expiry"),
    path("findings/", findings.findings, name="findings"),
    path("findings/acknowledge/", findings.acknowledge, name="findings-acknowledge"),
    path("audit/", audit.audit, name="audit"),
    path("reports/", reports.reports, name="reports"),
    path("reports/preview/", reports.report_preview, name="report-preview"),
    path("reports/preview/html/", reports.report_preview_html, name="report-preview-html"),
    path("reports/send-test/", reports.report_send_test, name="report-send-test"),
    path("reports/<int:pk>/", reports.report_mail, name="report-mail"),
    path("reports/<int:pk>/html/", reports.report_mail_html, name="report-mail-html"),
    path("reports/<int:pk>/send-again/", reports.report_send_again, name="report-send-again"),
    path("settings/", settings.settings, name="settings"),
    path("settings/alerts/", include("dashboard.alerting.urls")),
    path("settings/clusters/", clusters.clusters, name="clusters"),
    path("settings/clusters/add/", clusters.cluster_edit, name="cluster-add"),
    path("settings/clusters/<int:pk>/", clusters.cluster_edit, name="cluster-edit"),
    path("settings/clusters/<int:pk>/test/", clusters.cluster_test, name="cluster-test"),
    path("settings/clusters/<int:pk>/remove/", clusters.cluster_remove, name="cluster-remove"),
    path("settings/report/", reports_by_mail.settings, name="report-settings"),
    path("settings/report/confirm/<str:token>/", reports_by_mail.confirm, name="report-confirm"),
    path("unsubscribe/<str:token>/", reports_by_mail.unsubscribe, name="unsubscribe"),
    path("sign-in/", people.SignIn.as_view(), name="login"),
    path("sign-in/new-password/", people.new_password, name="new_password"),
    path("sign-out/", LogoutView.as_view(), name="logout"),
    path("account/password/", people.OwnPassword.as_view(), name="password"),
    path("account/password/changed/", people.password_changed, name="password_changed"),
    path("scan/<name:cluster>/", matrix.scan_now, name="scan-now"),
    path("metrics", metrics.metrics, name="metrics"),
    path("api/v1/docs", machines.reference, name="api-reference"),
    path("api/v1/openapi.json", machines.openapi, name="api-openapi"),
    path("api/v1/", include(api.urls())),
    path("settings/api-keys/", machines.api_keys, name="api-keys"),
    path("settings/api-keys/<int:pk>/revoke/", machines.revoke_key, name="api-key-revoke"),
    path("settings/calendar/", machines.calendar_feeds, name="calendar-feeds"),
    path("settings/calendar/<int:pk>/revoke/", machines.revoke_feed, name="calendar-feed-revoke"),
    path("calendar/<str:token>.ics", machines.calendar, name="calendar"),
    path("export/<slug:table>.csv", machines.export, name="export"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
