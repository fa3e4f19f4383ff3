"""All settings, each from one environment variable. With none set Credboard runs on this machine alone: SQLite in
`data/`, a broker on the default Redis port, and a key that lasts as long as the process.
"""

from __future__ import annotations

import secrets
from pathlib import Path

import dj_database_url
from celery.schedules import schedule
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from dashboard import env

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(env.text("CREDBOARD_DATA_DIR", str(BASE_DIR / "data")))

DEBUG = env.boolean("CREDBOARD_DEBUG", False)
SECRET_KEY = env.text("CREDBOARD_SECRET_KEY")
SECRET_KEY_IS_EPHEMERAL = not SECRET_KEY
if SECRET_KEY_IS_EPHEMERAL:
    # Enough for `manage.py scan` and tests; dashboard.W001 warns when anything is deployed with it.
    SECRET_KEY = secrets.token_urlsafe(50)
FINGERPRINT_KEY = env.text("CREDBOARD_FINGERPRINT_KEY", SECRET_KEY)

ALLOWED_HOSTS = list(env.words("CREDBOARD_ALLOWED_HOSTS", ("127.0.0.1", "localhost", "[::1]")))
CSRF_TRUSTED_ORIGINS = list(env.words("CREDBOARD_TRUSTED_ORIGINS"))
HTTPS = env.boolean("CREDBOARD_HTTPS", False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = 7 * 24 * 3600
SECURE_SSL_REDIRECT = False  # TLS ends at the proxy, which redirects
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"
# W008: SECURE_SSL_REDIRECT, see above. W019: the Kubeflow central dashboard frames its apps, from the same origin.
SILENCED_SYSTEM_CHECKS = ["security.W008", "security.W019"]

INSTALLED_APPS = [
    "dashboard.apps.DashboardConfig",
    "scanner.apps.ScannerConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "csp",
    "django_htmx",
    "template_partials",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "dashboard.identity.TrustedHeaderMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "dashboard.urls"
WSGI_APPLICATION = "dashboard.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "builtins": ["template_partials.templatetags.partials"],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.shell.shell",
            ],
        },
    }
]

# Database. Two workers and the web write to one SQLite file: WAL, and writers wait for each other from the first
# statement on.
DATABASES = {"default": dj_database_url.parse(env.text("DATABASE_URL", f"sqlite:///{DATA_DIR / 'credboard.sqlite3'}"))}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# People
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "matrix"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# The header that names the signed-in person, set by a mesh or proxy (Kubeflow: kubeflow-userid). It is believed only
# from an address in TRUSTED_PROXIES, which is empty by default: nobody can sign in by header until an operator says
# from where.
USER_HEADER = env.text("CREDBOARD_USER_HEADER", "kubeflow-userid")
USER_PREFIX = env.text("CREDBOARD_USER_PREFIX")
GROUPS_HEADER = env.text("CREDBOARD_GROUPS_HEADER")
TRUSTED_PROXIES = env.networks("CREDBOARD_TRUSTED_PROXIES")
OPERATORS = frozenset(env.words("CREDBOARD_OPERATORS"))

# Pages
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [SELF],
    }
}

# Work in the background. The database is the truth about what is due; the broker only carries ids.
REDIS_URL = env.text("REDIS_URL", "redis://127.0.0.1:6379/0")
SCAN_INTERVAL = env.integer("CREDBOARD_SCAN_INTERVAL", 60, minimum=5, maximum=86_400)  # seconds
# Seconds that an API server may be silent in the middle of an answer.
API_TIMEOUT = env.integer("CREDBOARD_API_TIMEOUT", 30, minimum=1, maximum=600)
# Seconds that a scanning worker may be silent before another one takes its cluster over. Longer than an API server may
# take to answer, all tries counted, or a slow scan is taken over while it works.
SCAN_LEASE = env.integer("CREDBOARD_SCAN_LEASE", 120, minimum=2, maximum=3_600)
# What operators require, count otherwise and ignore. A mistake in the file stops every process at its start.
POLICY = env.policy("CREDBOARD_POLICY_FILE")
SCAN_RETENTION = env.integer("CREDBOARD_SCAN_RETENTION_DAYS", 14, minimum=1, maximum=3_650)
# Seconds after which the broker gives a task that nobody acknowledged to another worker. Longer than any task may take.
REDELIVER_AFTER = env.integer("CREDBOARD_REDELIVER_AFTER", 3_600, minimum=2, maximum=86_400)
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 1_800
CELERY_TASK_SOFT_TIME_LIMIT = 1_700
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False  # a page must not wait for a broker that is down: the row that says "due" is enough
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 1,
    "socket_timeout": 10,
    "max_retries": 0,  # of who sends a task: without it kombu tries for seconds. A worker's connection has its own
    "visibility_timeout": REDELIVER_AFTER,
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
DISPATCH_INTERVAL = 2  # seconds; how late due work may start
CELERY_BEAT_SCHEDULE = {
    "dispatch-scans": {
        "task": "scanner.tasks.dispatch_scans",
        "schedule": schedule(DISPATCH_INTERVAL),
        "options": {"expires": DISPATCH_INTERVAL},
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.text("CREDBOARD_LOG_LEVEL", "INFO").upper()},
    "loggers": {
        "celery.beat": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "kubernetes": {"level": "WARNING"},
        "urllib3": {"level": "ERROR"},  # its retry warnings quote URLs; errors reach the log translated
    },
}
if LOGGING["root"]["level"] not in ("DEBUG", "INFO", "WARNING", "ERROR"):  # type: ignore[index]
    raise ImproperlyConfigured("CREDBOARD_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR")
