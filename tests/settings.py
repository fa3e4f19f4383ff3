"""The product's settings, but for what would only slow tests down or ask for a build first."""

from __future__ import annotations

from dashboard.settings import *  # noqa: F403
from dashboard.settings import CACHES, STORAGES

# Straight from static/: no `collectstatic` before a test.
STATIC_ROOT = None
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = True

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Tests count calls by themselves; the one about Redis starts it.
CACHES = {**CACHES, "shared": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "shared"}}
