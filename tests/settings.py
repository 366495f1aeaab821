"""Settings of the tests: the project's own, on throw-away state and without waiting for anything."""

import os
import tempfile

# Before the project's settings are read: nothing of the developer's own installation may leak in.
# TEST_DATABASE_URL runs the same tests on another database, for instance PostgreSQL.
os.environ["HEADROOM_DATA"] = tempfile.mkdtemp(prefix="headroom-tests-")
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "")
os.environ["SECRET_KEY"] = "only-for-tests"
for name in (
    "ALLOWED_HOSTS",
    "CELERY_BROKER_URL",
    "CELERY_RESULT_BACKEND",
    "CACHE_URL",
    "DEBUG",
    "HTTPS",
    "LOGIN_REQUIRED",
):
    os.environ.pop(name, None)
# Playwright's synchronous interface keeps an event loop in the tests' thread, which Django takes for async.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

from config.settings import *  # noqa: E402, F403
from config.settings import STORAGES  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
CELERY_BROKER_URL = "memory://"
CELERY_RESULT_BACKEND = "cache+memory://"
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True
