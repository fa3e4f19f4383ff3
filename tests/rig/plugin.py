"""pytest plugin: the real parts as fixtures, the choice of database, and the count of what could not be had.

Loaded with `-p` from pyproject.toml, not from conftest.py: the database must run before Django reads its settings.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.rig import binaries, parts, postgres
from tests.rig.apiserver import KubeApiServer
from tests.rig.postgres import PostgresServer
from tests.rig.valkey import ValkeyServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

_DATABASE_FIXTURES = {
    "db",
    "transactional_db",
    "django_db_reset_sequences",
    "django_db_serialized_rollback",
    "live_server",
}
_CHROMIUM_FLAGS = [
    "--no-sandbox",  # root may not use the sandbox, and every page here is ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: What tests themselves are told by.
_OURS = {"CREDBOARD_CACHE", "CREDBOARD_CHROMIUM"}
#: How long the product waits for Redis where a person waits for the product.
_MOMENTS = (
    "dashboard.backlog.TIMEOUT",
    "dashboard.doctor.broker.TIMEOUT",
    "dashboard.shell.BROKER_TIMEOUT",
    "scanner.scan.TELL_TIMEOUT",
)
_database = pytest.StashKey[PostgresServer]()
_no_database = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("credboard").addoption(
        "--database",
        choices=("sqlite", "postgres"),
        help="run on this database, started for the run; without it, on DATABASE_URL or else on SQLite",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, object, object]:
    """Before anything of pytest-django: it imports the settings in this same hook."""
    early_config.add_cleanup(_as_on_a_new_machine())
    database = early_config.known_args_namespace.database
    if database == "sqlite":
        os.environ.pop("DATABASE_URL", None)
    elif database == "postgres" and _runs_tests(early_config):
        server = PostgresServer()
        try:
            os.environ["DATABASE_URL"] = server.start().url
        except postgres.NotInstalled as error:
            if parts.in_ci():
                raise pytest.UsageError(str(error)) from error
            early_config.stash[_no_database] = str(error)
        else:
            early_config.stash[_database] = server
            early_config.add_cleanup(server.stop)
    return (yield)


def _as_on_a_new_machine() -> Callable[[], None]:
    """Take away what this machine says to Credboard, and what `make run` left in the checkout. Returns how to end."""
    for name in list(os.environ):
        if (name.startswith("CREDBOARD_") and name not in _OURS) or name == "KUBECONFIG":
            del os.environ[name]
    # Nobody listens there, whatever else runs here: a test that needs Redis says which.
    os.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
    folder = tempfile.mkdtemp(prefix="credboard-tests-")
    os.environ["CREDBOARD_DATA_DIR"] = os.environ["CREDBOARD_RUN_DIR"] = folder
    return lambda: shutil.rmtree(folder, ignore_errors=True)


def _runs_tests(config: pytest.Config) -> bool:
    """Whether this process runs tests: not the one that only hands them to the workers of pytest-xdist."""
    return "PYTEST_XDIST_WORKER" in os.environ or not getattr(config.known_args_namespace, "numprocesses", None)


@pytest.hookimpl(tryfirst=True)  # before hypothesis looks for --hypothesis-profile
def pytest_configure(config: pytest.Config) -> None:
    # The same examples each time, whatever the machine has to do besides: what a run says is about the code alone.
    # `--hypothesis-profile default` looks for new ones.
    hypothesis.settings.register_profile(
        "gate", deadline=None, derandomize=True, database=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("gate")
    config.addinivalue_line("markers", "database: uses the database (set by itself; `-m database` selects these tests)")
    config.addinivalue_line("markers", "browser: uses Chromium (set by itself)")


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _no_database in config.stash:
            item.add_marker(pytest.mark.skip(parts.reason("postgresql", config.stash[_no_database])))
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & _DATABASE_FIXTURES or item.get_closest_marker("django_db"):
            item.add_marker("database")
        if "chromium" in fixtures:
            item.add_marker("browser")


@pytest.hookimpl(trylast=True)  # after pytest-django has put transactional tests behind the others
def pytest_collection_finish(session: pytest.Session) -> None:
    """Browser tests go last: see `chromium`."""
    session.items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    counts = Counter(part for part in map(parts.missing_part, skipped) if part is not None)
    if counts:
        listed = ", ".join(f"{part} ({count} tests skipped)" for part, count in sorted(counts.items()))
        terminalreporter.write_line(f"real parts missing: {listed}", yellow=True)


def pytest_report_header(config: pytest.Config) -> str:
    if config.option.database == "postgres":
        return "database: PostgreSQL, started for this run"
    return "database: " + ("as DATABASE_URL says" if os.environ.get("DATABASE_URL") else "SQLite")


@pytest.fixture(scope="session")
def apiserver() -> Iterator[KubeApiServer]:
    """A real kube-apiserver, shared by the whole run: work in namespaces of your own (`create_namespace()`)."""
    try:
        server = KubeApiServer().start()
    except binaries.NotBuilt as error:
        parts.missing("kube-apiserver", str(error))
    yield server
    server.stop()


@pytest.fixture(scope="session", name="_shared_valkey")
def _valkey_of_the_run() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def valkey(_shared_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> ValkeyServer:
    """A real Valkey that runs and holds nothing, whatever the tests before have left in it or have done to it.

    A page waits for it for a moment only, which a machine that does other things as well may need. Here it is patient.
    """
    _shared_valkey.empty()
    for constant in _MOMENTS:
        monkeypatch.setattr(constant, 60.0)
    return _shared_valkey


@pytest.fixture(scope="session", name="postgres")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[PostgresServer]:
    """A real PostgreSQL: the one that the run's database is in, where it was started for the run."""
    if _database in pytestconfig.stash:
        yield pytestconfig.stash[_database]
        return
    try:
        server = PostgresServer().start()
    except postgres.NotInstalled as error:
        parts.missing("postgresql", str(error))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium; open a context for each test (`chromium.new_context()`), and close it.

    Playwright's blocking API keeps an event loop running in this thread from its start to its stop, and Django refuses
    to touch the database where it sees one. So its check is off for that long, and browser tests run after all others.
    """
    from playwright.sync_api import sync_playwright

    executable = Path(os.environ.get("CREDBOARD_CHROMIUM") or "/usr/bin/chromium")
    if not executable.exists():
        parts.missing(
            "chromium", f"{executable} is not there (Debian: apt-get install chromium, or set CREDBOARD_CHROMIUM)"
        )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=_CHROMIUM_FLAGS)
            yield browser
            browser.close()
