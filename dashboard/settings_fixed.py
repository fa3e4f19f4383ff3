"""Settings of Django and Celery that are the same wherever Credboard runs: what it is put together of.

What an environment variable decides, and what follows from that, is in settings.py, which takes all of these over.
"""

from __future__ import annotations

from pathlib import Path

from celery.schedules import crontab, schedule
from csp.constants import NONCE, NONE, SELF

BASE_DIR = Path(__file__).resolve().parent.parent

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
    "dashboard.logs.RequestMiddleware",
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
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-32000;",
}
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
SESSION_COOKIE_AGE = 7 * 24 * 3600
# Names of our own: other Django programs may share the host, and theirs would take the place of ours.
SESSION_COOKIE_NAME = "credboard_session"
CSRF_COOKIE_NAME = "credboard_csrf"

# Pages
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
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
SECURE_SSL_REDIRECT = False  # TLS ends at the proxy, which redirects
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"
# W005, W021: hosts below ours, and lists that browsers ship, are for the owner of the domain to decide.
# W008: SECURE_SSL_REDIRECT, see above. W019: the Kubeflow central dashboard frames its apps, from the same origin.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W019", "security.W021"]

# Work in the background
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
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False  # or a traceback that Python prints becomes a line of the log for each letter
CELERY_TIMEZONE = "UTC"
DISPATCH_INTERVAL = 2  # seconds; how late due work may start
# What nobody took in time is dropped, so that nothing piles up without a worker. Not sooner than this: a task expires
# by the worker's clock, and where that is ahead of beat's by more, none would be done.
SOONEST_EXPIRY = 30
CELERY_BEAT_SCHEDULE = {
    "dispatch-alerts": {
        "task": "dashboard.tasks.dispatch_alerts",
        "schedule": schedule(5),
        "options": {"expires": SOONEST_EXPIRY},
    },
    "dispatch-scans": {
        "task": "scanner.tasks.dispatch_scans",
        "schedule": schedule(DISPATCH_INTERVAL),
        "options": {"expires": SOONEST_EXPIRY},
    },
    "prune": {
        "task": "dashboard.tasks.prune",
        "schedule": crontab(hour="3", minute="17"),
        "options": {"expires": 7_200},
    },
    # Each entry finds what is due by itself, so one that comes late, twice or not at all is made up for by the next.
    "dispatch-reports": {
        "task": "dashboard.tasks.dispatch_reports",
        "schedule": schedule(60),
        "options": {"expires": 55},
    },
    "dispatch-mails": {
        "task": "dashboard.tasks.dispatch_mails",
        "schedule": schedule(10),
        "options": {"expires": SOONEST_EXPIRY},
    },
    "subscribe-people": {
        "task": "dashboard.tasks.subscribe_people",
        "schedule": schedule(900),
        "options": {"expires": 890},
    },
}
CELERY_BEAT_SCHEDULER = "dashboard.beat:Scheduler"

# Logs: libraries that say too much
QUIET_LOGGERS = {
    "celery.beat": {"level": "WARNING"},
    "celery.app.trace": {"level": "WARNING"},
    "celery.worker.strategy": {"level": "WARNING"},
    "kubernetes": {"level": "WARNING"},
    "urllib3": {"level": "ERROR"},  # its retry warnings quote URLs; errors reach the log translated
}
