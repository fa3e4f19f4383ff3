"""Every setting that an environment variable decides, and what follows from it; settings_fixed.py has the others. With
no variable set Credboard runs on this machine alone: SQLite in `data/`, a broker on the default Redis port, and a key
that lasts as long as the process; beside `manage.py up` the broker and the key of that one.

`about` says what a setting is for and why it is as it is: docs/settings.md is made of it (`manage.py settingsdocs`).
"""

from __future__ import annotations

import secrets

import dj_database_url

from dashboard import env
from dashboard.mail.server import read_sender, read_server
from dashboard.schedule import WEEKDAYS
from dashboard.settings_fixed import *  # noqa: F403
from dashboard.settings_fixed import BASE_DIR, QUIET_LOGGERS, SQLITE_OPTIONS

env.section("Keys and data")
DATA_DIR = env.folder(
    "CREDBOARD_DATA_DIR",
    str(BASE_DIR / "data"),
    shown="data/ in the checkout",
    about="Folder of the SQLite file, of beat's schedule, and of the key that `manage.py up` makes.",
)
DEBUG = env.boolean(
    "CREDBOARD_DEBUG", False, about="Pages of errors with their traceback. For development only: they show settings."
)
SECRET_KEY_FILE, BROKER_FILE = DATA_DIR / "secret-key", DATA_DIR / "broker-url"
SECRET_KEY = env.secret(
    "CREDBOARD_SECRET_KEY",
    env.left_by_up(SECRET_KEY_FILE),
    shown="one for each process",
    about="Signs sessions and links. 50 random characters, the same for all processes; without it everyone is signed "
    "out whenever one starts. `manage.py up` keeps one in the data folder, where other commands find it.",
)
SECRET_KEY_IS_EPHEMERAL = not SECRET_KEY
if SECRET_KEY_IS_EPHEMERAL:
    # Enough for `manage.py scan` and tests; dashboard.W001 warns when anything is deployed with it.
    SECRET_KEY = secrets.token_urlsafe(50)
SECRET_KEY_FALLBACKS = list(
    env.secrets(
        "CREDBOARD_SECRET_KEY_FALLBACKS",
        about="Former values of CREDBOARD_SECRET_KEY that are still believed, so that it can be changed without "
        "anyone being signed out. See rotating-keys.md.",
    )
)
FINGERPRINT_KEY = env.secret(
    "CREDBOARD_FINGERPRINT_KEY",
    SECRET_KEY,
    shown="CREDBOARD_SECRET_KEY",
    about="Keys the fingerprints that tell equal credentials, so that these cannot be guessed from the database. "
    "One of its own can be changed without the other.",
)
ENCRYPTION_KEYS = env.secrets(
    "CREDBOARD_ENCRYPTION_KEYS",
    about="Keys (Fernet) of what is encrypted in the database: the addresses of alert routes, kubeconfigs. The first "
    "encrypts, each decrypts; `manage.py rotatekeys` writes everything anew with the first. Without any, one is "
    "derived from CREDBOARD_SECRET_KEY.",
)
# Database. Two workers and the web write to one SQLite file: WAL, and writers wait for each other from the first
# statement on.
DATABASES = {
    "default": dj_database_url.parse(
        env.url(
            "DATABASE_URL",
            f"sqlite:///{DATA_DIR / 'credboard.sqlite3'}",
            schemes=("postgres", "postgresql", "sqlite"),
            shown="SQLite in the data folder",
            about="The database. PostgreSQL for more than one machine: a SQLite file cannot be shared between them.",
        )
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
else:
    DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    # Seconds. A page, a probe of readiness and `doctor` must not wait for a machine that is not there.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)

env.section("How people reach it")
ALLOWED_HOSTS = [
    *env.hosts(
        "CREDBOARD_ALLOWED_HOSTS",
        about="Host names under which it answers, besides 127.0.0.1, localhost and [::1], for which health checks ask. "
        "Others get an error, or links in its answers could be forged.",
    ),
    *("127.0.0.1", "localhost", "[::1]"),
]
CSRF_TRUSTED_ORIGINS = list(
    env.origins(
        "CREDBOARD_TRUSTED_ORIGINS",
        about="Origins from which forms are taken though they are not the host's own, as behind a proxy that changes "
        "the host: https://credboard.example.com",
    )
)
HTTPS = env.boolean(
    "CREDBOARD_HTTPS",
    False,
    about="Behind TLS: cookies are only sent over it, and browsers are told to use nothing else (HSTS).",
)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

env.section("People")
USER_HEADER = env.header(
    "CREDBOARD_USER_HEADER", "kubeflow-userid", about="The header in which a mesh or proxy names the signed-in person."
)
USER_PREFIX = env.text(
    "CREDBOARD_USER_PREFIX", about="What that header holds before the name; it is taken off, and required."
)
GROUPS_HEADER = env.header(
    "CREDBOARD_GROUPS_HEADER",
    "",
    about="The header with the person's groups, divided by commas, where the mesh sends one. Their keys, mails and "
    "feeds go by those of the last request; without this setting they are in none.",
)
TRUSTED_PROXIES = env.networks(
    "CREDBOARD_TRUSTED_PROXIES",
    about="Addresses whose user header is believed: those of the mesh's gateway or sidecar, and no others. With none, "
    "nobody can sign in by header.",
)
FORWARDED_BY = env.networks(
    "CREDBOARD_FORWARDED_BY",
    about="Addresses of proxies that name nobody, such as an Ingress, and are believed only in X-Forwarded-For: from "
    "which address sign-ins and keys fail, which is limited. Those of CREDBOARD_TRUSTED_PROXIES are believed as well.",
)
OPERATORS = frozenset(
    env.words(
        "CREDBOARD_OPERATORS", about="Names that are operators, who see and do everything, when they come by header."
    )
)
env.declare(
    "CREDBOARD_ADMIN_PASSWORD",
    kind="secret",
    default="a one-time password, printed once",
    about="Password of the first local operator, `admin`: at least 12 characters. Read only when `manage.py "
    "ensure_admin` or `up` makes it.",
    is_secret=True,
)
READ_ONLY = env.boolean(
    "CREDBOARD_READ_ONLY",
    False,
    about="Pages offer to create nothing in a cluster, and say so. For where Credboard's own rights are to read only.",
)
WRITE_AS = env.choice(
    "CREDBOARD_WRITE_AS",
    "dashboard",
    ("dashboard", "person"),
    about="In whose name Secrets are created: with the rights of Credboard's own account, after asking Kubernetes "
    "whether the person may (dashboard), or with those of the signed-in person, by impersonation (person). Credboard's "
    "account needs the right to impersonate them, name by name: a right to impersonate anybody is cluster-admin.",
)

# Pages
FORCE_SCRIPT_NAME = (
    env.path_prefix(
        "CREDBOARD_PATH_PREFIX",
        about="Path under which it is served, such as /credboard, where it shares a host; requests come with it. Paths "
        "without it are answered as well, for health checks.",
    )
    or None
)
STATIC_URL = f"{FORCE_SCRIPT_NAME or ''}/static/"
# Not sent to what else is on this host, such as the notebooks that people run behind Kubeflow's gateway.
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = FORCE_SCRIPT_NAME or "/"

# Work in the background. The database is the truth about what is due; the broker only carries ids.
env.section("Scans")
REDIS_URL = env.url(
    "REDIS_URL",
    env.left_by_up(BROKER_FILE, while_it_runs=True) or "redis://127.0.0.1:6379/0",
    schemes=("redis", "rediss"),
    shown="redis://127.0.0.1:6379/0",
    about="The broker, Redis or Valkey. It only carries ids: what is due stands in the database, so a broker that is "
    "down delays work and loses none. `manage.py up` starts one where this is not set, which commands beside it "
    "find by the data folder. With rediss:// its certificate is verified; ?ssl_ca_certs=/path/of/ca.pem names an "
    "authority of your own.",
)
SCAN_INTERVAL = env.integer(
    "CREDBOARD_SCAN_INTERVAL",
    60,
    minimum=5,
    maximum=86_400,
    unit="seconds",
    about="From the start of one scan of a new cluster to the next. What was seen more than two intervals ago is "
    "shown as unknown. A cluster that is there already keeps its own (`manage.py cluster NAME --interval`).",
)
KUBECONFIG_DIR = str(
    env.folder(
        "CREDBOARD_KUBECONFIG_DIR",
        "/kubeconfigs",
        about="Folder of kubeconfigs that are mounted into web and workers, from a Secret for one. The page of "
        "clusters offers the files in it, and no others.",
    )
)
API_TIMEOUT = env.integer(
    "CREDBOARD_API_TIMEOUT",
    30,
    minimum=1,
    maximum=600,
    unit="seconds",
    about="How long an API server may be silent in the middle of an answer.",
)
SCAN_LEASE = env.integer(
    "CREDBOARD_SCAN_LEASE",
    120,
    minimum=2,
    maximum=3_600,
    unit="seconds",
    about="How long a scanning worker may be silent before another one takes its cluster over. Longer than an API "
    "server may take to answer, all three tries counted, or a slow scan is taken over while it works.",
)
POLICY = env.policy(
    "CREDBOARD_POLICY_FILE",
    about="What operators require, count otherwise and ignore: see policy.md. A mistake in it stops every process at "
    "its start.",
)
REDELIVER_AFTER = env.integer(
    "CREDBOARD_REDELIVER_AFTER",
    3_600,
    minimum=2,
    maximum=86_400,
    unit="seconds",
    about="When the broker gives a task that nobody acknowledged to another worker. Longer than any task may take "
    "(1800 seconds), or a task that is still running is run a second time.",
)

env.section("What is kept, and for how long")
# `manage.py prune` and a task of every night delete what is older (dashboard/retention.py).
SCAN_RETENTION = env.integer(
    "CREDBOARD_SCAN_RETENTION_DAYS",
    14,
    minimum=1,
    maximum=3_650,
    unit="days",
    about="How long scans are kept. The first one and the last good one of each cluster stay.",
)
HISTORY_RETENTION = env.integer(
    "CREDBOARD_HISTORY_RETENTION_DAYS",
    90,
    minimum=40,
    maximum=3_650,
    unit="days",
    about="How long resolved findings, changes of cells and acknowledgements that ended are kept: reports and the "
    "history of a cell are made of them, and a monthly report looks back five weeks. What is open stays.",
)
GONE_RETENTION = env.integer(
    "CREDBOARD_GONE_RETENTION_DAYS",
    30,
    minimum=1,
    maximum=3_650,
    unit="days",
    about="How long a Namespace is remembered, with its history, after its cluster no longer has it.",
)
AUDIT_RETENTION = env.integer(
    "CREDBOARD_AUDIT_RETENTION_DAYS",
    730,
    minimum=1,
    maximum=36_500,
    unit="days",
    about="How long it is kept who changed what. Two years, since such questions are asked late.",
)
OUTBOX_RETENTION = env.integer(
    "CREDBOARD_OUTBOX_RETENTION_DAYS",
    90,
    minimum=1,
    maximum=3_650,
    unit="days",
    about="How long mails and alerts that were sent, or given up, are kept. What still is to be sent stays.",
)
env.section("Alerts")
ALERT_SCHEMAS = frozenset(
    env.words(
        "CREDBOARD_ALERT_SCHEMAS",
        about="Services that alert routes may use, by what their Apprise address begins with (slack, mailto, json …), "
        "in place of the well-known ones. What acts on this machine (syslog, dbus, desktops) is never allowed.",
    )
)
ALERT_TIMEOUT = env.integer(
    "CREDBOARD_ALERT_TIMEOUT",
    10,
    minimum=1,
    maximum=20,
    unit="seconds",
    about="How long a service that gets an alert may take to answer before the try counts as failed.",
)

env.section("Mail")
SMTP_SERVER = read_server()
MAIL_IS_ON = SMTP_SERVER is not None
MAIL_FROM = read_sender(is_on=MAIL_IS_ON)

env.section("Reports by mail")
PUBLIC_URL = env.site(
    "CREDBOARD_URL",
    "http://127.0.0.1:8000",
    about="Where people reach Credboard. Links in mails begin with it.",
)
PUBLIC_URL_IS_SET = bool(env.text("CREDBOARD_URL"))
MAIL_DOMAINS = env.domains(
    "CREDBOARD_MAIL_DOMAINS",
    about="Domains to which a report may be sent at an address that stands in a Kubeflow Profile or in the annotation "
    "credboard.dev/owner. With none, only people who have signed in get reports: whoever may write to a cluster object "
    "could otherwise have mail sent to anyone.",
)
REPORT_WEEKDAY = WEEKDAYS.index(
    env.choice(
        "CREDBOARD_REPORT_WEEKDAY",
        "Monday",
        WEEKDAYS,
        about="When the report of a new reader is sent; each can choose.",
    )
)
REPORT_HOUR = env.integer(
    "CREDBOARD_REPORT_HOUR", 9, minimum=0, maximum=23, unit="hour of the day", about="Likewise, on the reader's clock."
)
REPORT_TIME_ZONE = env.time_zone(
    "CREDBOARD_REPORT_TIME_ZONE", "UTC", about="The time zone of readers who have chosen none."
)

env.section("For machines")
API_RATE = env.integer(
    "CREDBOARD_API_RATE",
    600,
    minimum=1,
    maximum=1_000_000,
    unit="calls a minute",
    about="How often one person may ask the API, in a browser and with keys together. Counted in Redis for all web "
    "processes; while Redis is down each process counts for itself.",
)
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 10_000}},
    # What all processes count together. Nobody waits long for it: see dashboard/api/throttling.py.
    "shared": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": [REDIS_URL],
        "KEY_PREFIX": "credboard",
        "OPTIONS": {"socket_connect_timeout": 0.2, "socket_timeout": 0.2, "retry": None},
    },
}

env.section("Work in the background")
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 1,
    "socket_timeout": 10,
    "max_retries": 0,  # of who sends a task: without it kombu tries for seconds. A worker's connection has its own
    "visibility_timeout": REDELIVER_AFTER,
}
env.declare(
    "CREDBOARD_RUN_DIR",
    kind="folder",
    default="the folder of temporary files",
    about="Where a worker and beat say that they turn, for `python -m dashboard.alive`. One for each container.",
    may_be_in_file=False,
)
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")

env.section("Logs and metrics")
LOG_LEVEL = env.choice(
    "CREDBOARD_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"), about="The least grave lines that are logged."
)
LOG_FORMAT = env.choice(
    "CREDBOARD_LOG_FORMAT",
    "line",
    ("line", "json"),
    about="`line` for people; `json` for collectors of logs: an object a line, with the ids of request, task and scan.",
)
LOG_REQUESTS = env.boolean(
    "CREDBOARD_LOG_REQUESTS",
    False,
    about="A line for each request: method, path, status and milliseconds. Never with what follows the question mark, "
    "nor with the secret part of addresses that open without sign-in.",
)
METRICS_TOKEN = env.secret(
    "CREDBOARD_METRICS_TOKEN",
    shown="none: only operators who are signed in may read /metrics",
    about="What Prometheus sends as bearer token to read /metrics, which names Namespaces: see metrics.md.",
)
METRICS_MAX_SERIES = env.integer(
    "CREDBOARD_METRICS_MAX_SERIES",
    5_000,
    minimum=0,
    maximum=100_000,
    unit="series",
    about="The most series about single Namespaces and cells, worst first, all of them together; what is left out is "
    "counted in credboard_metrics_truncated.",
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "dashboard.logs.LineFormatter"}, "json": {"()": "dashboard.logs.JsonFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": QUIET_LOGGERS,
}
