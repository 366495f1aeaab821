"""Settings, all from the environment, with defaults that run on one machine without any set-up.

`.env.example` lists every variable.  A file `.env` beside manage.py is read too; the environment wins.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import django_stubs_ext
import environ
from django.core.exceptions import ImproperlyConfigured

from config.local import broker_socket, secret_in_file

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env")

# --- Where and for whom -----------------------------------------------------------------------------------
DATA = Path(env.str("HEADROOM_DATA", default=str(BASE_DIR / "data"))).expanduser().resolve()
LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=sorted(LOOPBACK))
HOST = env.str("HEADROOM_HOST", default="127.0.0.1")
try:
    PORT = env.int("PORT", default=8000)
except ValueError:
    PORT = -1
if not 0 < PORT < 65_536:
    raise ImproperlyConfigured(
        f"PORT={env.str('PORT')} is no port. Give a whole number from 1 to 65535, such as PORT=8000."
    )
WEB_THREADS = max(4, env.int("WEB_THREADS", default=64))
# Local mode: nobody but this machine can reach the pages, so reading them asks for no login.
LOCAL = set(ALLOWED_HOSTS) <= LOOPBACK and HOST in LOOPBACK | {"::1"}
DEBUG = env.bool("DEBUG", default=False)
try:
    SECRET_KEY = env.str("SECRET_KEY", default="") or secret_in_file(DATA / "secret-key", random_bytes=48)
except OSError as failure:
    raise ImproperlyConfigured(f"HEADROOM_DATA cannot be used: {failure}") from failure
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
LANGUAGE_CODE = "en-gb"
FORMAT_MODULE_PATH = ["config.formats"]

# What the supervisor of this data folder says of its processes.
PROCESSES_FILE = DATA / "run" / "processes.json"

# --- What it is made of -----------------------------------------------------------------------------------
INSTALLED_APPS = [
    "planner",
    "planner.api",
    "inventory",
    "planner.accounts",
    "config.admin.HeadroomAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "axes",
    "django_htmx",
    "auditlog",
    "import_export",
    "csp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # A tenth of the size; Django pads answers at random, so that lengths do not tell secrets.
    "django.middleware.gzip.GZipMiddleware",
    "config.guard.middleware.RequestLog",
    "config.guard.middleware.Doorway",
    "config.guard.middleware.Rates",
    "config.guard.middleware.Crowd",
    "config.guard.middleware.Budget",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "planner.api.middleware.BearerTokens",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    # Who is logged in, for the log of changes to the catalog's rows.
    "auditlog.middleware.AuditlogMiddleware",
]
# Beyond local mode every page asks for a login, unless told otherwise; views that write ask for it always.
LOGIN_REQUIRED = env.bool("LOGIN_REQUIRED", default=not LOCAL)
if LOGIN_REQUIRED:
    MIDDLEWARE.append("django.contrib.auth.middleware.LoginRequiredMiddleware")
MIDDLEWARE += [
    "config.guard.rights.Rights",
    "axes.middleware.AxesMiddleware",
    "planner.api.middleware.Idempotency",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.views.notices",
            ],
            "libraries": {"planner_format": "planner.web.template_filters"},
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- How much, how often ---------------------------------------------------------------------------------
# Requests of one client within a minute; 0: any number, as behind the door of one machine.
REQUESTS_A_MINUTE = env.int("REQUESTS_A_MINUTE", default=0 if LOCAL else 1200)
# What one question may cost, in evaluated plans: some 150,000 a second on one core of a common server.
MOST_PLANS = env.int("MOST_PLANS", default=1_500_000)
MOST_PLANS_OF_A_SEARCH = env.int("MOST_PLANS_OF_A_SEARCH", default=6_000_000)
LARGE_QUESTIONS_AT_ONCE = env.int("LARGE_QUESTIONS_AT_ONCE", default=max(1, (os.cpu_count() or 2) // 2))
LARGE_QUESTION_WAIT_S = env.float("LARGE_QUESTION_WAIT_S", default=20.0)

# --- Where state lives ------------------------------------------------------------------------------------
SQLITE_OPTIONS: dict[str, Any] = {
    # A transaction that means to write says so at once: it then waits its turn instead of failing half way.
    "transaction_mode": "IMMEDIATE",
    "timeout": env.float("DATABASE_WAIT_S", default=20.0),
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
}


def database() -> dict[str, Any]:
    """The database that DATABASE_URL names, or SQLite in the data folder."""
    chosen: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA / "headroom.sqlite3")}
    if url := env.str("DATABASE_URL", default=""):
        chosen = dict(env.db_url_config(url))
    if chosen["ENGINE"] == "django.db.backends.sqlite3":
        chosen["OPTIONS"] = SQLITE_OPTIONS | chosen.get("OPTIONS", {})
    else:
        chosen["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
        chosen["CONN_HEALTH_CHECKS"] = True
    return chosen


DATABASES = {"default": database()}
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}
# A pasted Hugging Face config of 10 MB, percent-encoded, must reach its form, which refuses it kindly.
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 2**20

# --- Work in the background -------------------------------------------------------------------------------
BROKER_SOCKET = broker_socket(DATA)
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
# Without a broker of one's own, the supervisor starts an embedded one on a private socket.
EMBEDDED_BROKER = not CELERY_BROKER_URL
if EMBEDDED_BROKER:
    CELERY_BROKER_URL = f"redis+socket://{BROKER_SOCKET}"
CELERY_RESULT_BACKEND = env.str("CELERY_RESULT_BACKEND", default="") or CELERY_BROKER_URL
CELERY_RESULT_EXPIRES = 3600
# Nobody waits for what a task returns: its outcome is in the database. Without results, a broker that cannot
# be reached is found out in a second rather than in twenty.
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2}
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A message is given up by whoever took it: a task that kills its worker must not come back for ever.
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_TIME_LIMIT = 600
CELERY_WORKER_POOL = "prefork"
# Fresh processes: forked ones would inherit threads of numpy and handles of drivers in an unknown state.
CELERY_WORKER_POOL_START_METHOD = "spawn"
CELERY_WORKER_CONCURRENCY = env.int("WORKER_CONCURRENCY", default=1)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Long searches go to workers of their own (celery worker -Q search), as many as may run at once.
SEARCH_QUEUE = "search"
SEARCH_CONCURRENCY = env.int("SEARCH_CONCURRENCY", default=1)
CELERY_TASK_ROUTES = {"planner.search_part": {"queue": SEARCH_QUEUE}}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# Written into the schedule's tables when the scheduler starts; a source that is not due is not read.
CELERY_BEAT_SCHEDULE = {
    "catalog.refresh_due": {"task": "catalog.refresh_due", "schedule": 3600.0, "options": {"expires": 3000}},
}

# --- The living catalog -----------------------------------------------------------------------------------
# Which sources are read by themselves: none until somebody names them, since they ask the outside world.
CATALOG_SOURCES: list[str] = env.list("CATALOG_SOURCES", default=[])
# Regions by provider; each provider's default region alone unless set.
CATALOG_REGIONS = {
    "aws": env.list("CATALOG_AWS_REGIONS", default=["us-east-1"]),
    "gcp": env.list("CATALOG_GCP_REGIONS", default=["us-central1"]),
    "azure": env.list("CATALOG_AZURE_REGIONS", default=["eastus"]),
}
GCP_BILLING_API_KEY = env.str("GCP_BILLING_API_KEY", default="")
# Who is told of moved prices and of sources that fail: Apprise addresses (mailto://, json://, slack://).
CATALOG_ALERT_URLS: list[str] = env.list("CATALOG_ALERT_URLS", default=[])
CATALOG_ALERT_PERCENT = env.float("CATALOG_ALERT_PERCENT", default=10.0)
# Addresses of people are not needed to know who changed a price.
AUDITLOG_DISABLE_REMOTE_ADDR = True
IMPORT_EXPORT_ESCAPE_FORMULAE_ON_EXPORT = True
IMPORT_EXPORT_USE_TRANSACTIONS = True
IMPORT_EXPORT_IMPORT_PERMISSION_CODE = "add"

# --- Static files -----------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(DATA / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG

# --- Safety -----------------------------------------------------------------------------------------------
# What a Prometheus server shows to read /metrics where pages ask for a login.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")
# Where a worker that has no pages tells Prometheus of its tasks (0: nowhere; with `make run` the pages do).
METRICS_PORT = env.int("METRICS_PORT", default=0)
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# Ten wrong passwords of one name from one address, then none is looked at for a quarter of an hour.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "config.guard.rights.locked_out"
AXES_VERBOSE = False
# Behind a proxy the server has put the client's address there, from the one proxy that it trusts.
AXES_IPWARE_META_PRECEDENCE_ORDER = ["REMOTE_ADDR"]
# Sign-in at an identity provider (OpenID Connect), beside names and passwords kept here.
OIDC = bool(env.str("OIDC_CLIENT_ID", default=""))
if OIDC:
    INSTALLED_APPS.append("mozilla_django_oidc")
    AUTHENTICATION_BACKENDS.append("planner.accounts.oidc.Backend")
    OIDC_RP_CLIENT_ID = env.str("OIDC_CLIENT_ID")
    OIDC_RP_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", default="")
    # The issuer's own document names the four endpoints, unless they are named here.
    OIDC_ISSUER = env.str("OIDC_ISSUER", default="")
    OIDC_OP_AUTHORIZATION_ENDPOINT = env.str("OIDC_AUTHORIZATION_ENDPOINT", default="")
    OIDC_OP_TOKEN_ENDPOINT = env.str("OIDC_TOKEN_ENDPOINT", default="")
    OIDC_OP_USER_ENDPOINT = env.str("OIDC_USERINFO_ENDPOINT", default="")
    OIDC_OP_JWKS_ENDPOINT = env.str("OIDC_JWKS_ENDPOINT", default="")
    if not OIDC_ISSUER and not (
        OIDC_OP_AUTHORIZATION_ENDPOINT
        and OIDC_OP_TOKEN_ENDPOINT
        and OIDC_OP_USER_ENDPOINT
        and OIDC_OP_JWKS_ENDPOINT
    ):
        raise ImproperlyConfigured(
            "OIDC_CLIENT_ID is set, so OIDC_ISSUER or all four of OIDC_AUTHORIZATION_ENDPOINT,"
            " OIDC_TOKEN_ENDPOINT, OIDC_USERINFO_ENDPOINT and OIDC_JWKS_ENDPOINT are needed."
        )
    OIDC_AUTHENTICATE_CLASS = "planner.accounts.oidc.Start"
    OIDC_CALLBACK_CLASS = "planner.accounts.oidc.Back"
    OIDC_TIMEOUT = 10
    OIDC_RP_SIGN_ALGO = env.str("OIDC_SIGN_ALGORITHM", default="RS256")
    OIDC_RP_SCOPES = env.str("OIDC_SCOPES", default="openid email profile")
    OIDC_USE_PKCE = True
    # The claim that lists somebody's groups there; the role that each means here: staff=admin,ml=planner
    OIDC_GROUPS_CLAIM = env.str("OIDC_GROUPS_CLAIM", default="groups")
    OIDC_ROLES: dict[str, str] = env.dict("OIDC_ROLES", default={})
# A session ends so long after its login: a working day, on the own machine a fortnight.
SESSION_COOKIE_AGE = int(3600 * env.float("SESSION_HOURS", default=336 if LOCAL else 12))
PASSWORD_RESET_TIMEOUT = 3600
# Letters with a way to a new password; without a server for them they appear in the program's output.
vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="headroom@localhost")
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Beyond local mode, HTTPS alone.  A proxy that ends TLS is named in TRUSTED_PROXY.
HTTPS = env.bool("HTTPS", default=not LOCAL)
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
# To be on the browsers' preload list is for the owner of the domain to ask for, not for one program under it.
SILENCED_SYSTEM_CHECKS = ["security.W021"]
# The one address whose X-Forwarded-For and X-Forwarded-Proto are believed; the server removes all others.
TRUSTED_PROXY = env.str("TRUSTED_PROXY", default="")
if TRUSTED_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- What it says -----------------------------------------------------------------------------------------
# At INFO the scheduler says every few seconds what it sends, and what to log in with scrolls away.
LOG_LEVEL = env.str("LOG_LEVEL", default="WARNING").upper()
# LOG_FORMAT=json: one JSON object a line, for programs that collect logs.
LOG_FORMAT = env.str("LOG_FORMAT", default="plain")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        "json": {"()": "config.logs.JsonLines"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT if LOG_FORMAT == "json" else "plain",
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    # A question that makes no sense is the asker's business, who is told.
    "loggers": {
        "django.request": {"level": "ERROR" if LOG_LEVEL == "WARNING" else LOG_LEVEL},
        # The audit log has each failed login, with its name; waitress tells of every request that waits.
        "axes": {"level": "ERROR"},
        "waitress.queue": {"level": "ERROR"},
        # What was done by whom, and each request: said where programs collect it.
        "headroom": {"level": "INFO" if LOG_FORMAT == "json" else LOG_LEVEL},
    },
}
