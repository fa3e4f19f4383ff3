"""The pages about alert routes, below settings/alerts/."""

from __future__ import annotations

from django.urls import path

from dashboard.views import alerts

urlpatterns = [
    path("", alerts.alert_routes, name="alert-routes"),
    path("add/", alerts.alert_route, name="alert-route-add"),
    path("<int:pk>/", alerts.alert_route, name="alert-route"),
    path("<int:pk>/test/", alerts.alert_route_test, name="alert-route-test"),
    path("<int:pk>/critical/", alerts.alert_route_critical, name="alert-route-critical"),
    path("<int:pk>/retry/", alerts.alert_route_retry, name="alert-route-retry"),
    path("<int:pk>/delete/", alerts.alert_route_delete, name="alert-route-delete"),
]
