"""The API asked everything that its own document allows, and much that it does not: it never fails, and every answer is
one that the document promises."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from django.conf import settings as django_settings
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from dashboard.api.document import document
from dashboard.models import Acknowledgement, ApiKey
from scanner.models import Scan
from tests import factories

pytestmark = pytest.mark.django_db

load_all_checks()
WANTED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "missing_required_header",
)
NAMES = {"cluster": "prod-eu", "namespace": "team-vision", "pk": 1}

#: Path, method, and whether to ask about what is there: made-up names in a path seldom are.
OPERATIONS = [
    (path, method, is_there)
    for path, methods in document()["paths"].items()
    for method in methods
    for is_there in ((False, True) if "{" in path else (False,))
]


@pytest.fixture(autouse=True)
def _connection_stays_open() -> Iterator[None]:
    """A request to the WSGI application ends with its connection, which holds the test's transaction."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def api_schema(django_user_model: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The document, and behind it a database with something in every list."""
    monkeypatch.setattr(django_settings, "API_RATE", 1_000_000)
    now = timezone.now()
    cluster = factories.cluster("prod-eu", scanned_at=now)
    ends = {"status": "warning", "reason": "expiring", "expires_at": now + timedelta(days=3)}
    for name in ("team-vision", "team-nlp"):
        where = factories.namespace(
            cluster, name, owners=("grace",), labels={"team": name}, cells={"tls": ends, "registry/quay.io": ends}
        )
        factories.finding(where, "PS05", details={"elsewhere": [["team-nlp", "regcred"]]})
        factories.scan(cluster, namespace=name, state=Scan.State.FAILED, error="refused")
        Acknowledgement.objects.create(
            namespace=where, credential="tls", is_snooze=True, status="", reason="", note="x", actor="grace",
            until=now + timedelta(days=1),
        )  # fmt: skip
    ada = django_user_model.objects.create_user("ada", is_staff=True, password="correct horse battery")
    _, token = ApiKey.objects.issue(ada, name="fuzz", scope="write", expires_at=now + timedelta(days=1), now=now)
    loaded = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", WSGIHandler())
    loaded.config.update(headers={"Authorization": f"Bearer {token}"})
    return loaded


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method", "is_about_what_is_there"), OPERATIONS)
def test_every_answer_is_one_that_the_document_promises(
    api_schema: Any, path: str, method: str, is_about_what_is_there: bool, mode: GenerationMode
) -> None:
    operation = api_schema[path][method]

    @settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        if is_about_what_is_there:
            case.path_parameters = {name: NAMES[name] for name in case.path_parameters or ()}
        case.call_and_validate(checks=CHECKS.get_by_names(WANTED))

    ask()
