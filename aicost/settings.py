"""Django settings. Everything configurable comes from the environment or from `.env` next to `manage.py`."""

from datetime import timedelta
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY: str = env.str("SECRET_KEY", default="insecure-development-key" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("Set SECRET_KEY to a long random text, or DEBUG=true on your own machine.")
_LOCAL_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=_LOCAL_HOSTS if DEBUG else [])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

CREDITS_PER_DOLLAR: int = env.int("CREDITS_PER_DOLLAR", default=100)
"""Number of credits, the ledger's unit, in a dollar."""
if CREDITS_PER_DOLLAR < 1:
    raise ImproperlyConfigured("CREDITS_PER_DOLLAR must be a positive whole number.")

RPC_MAX_BATCH: int = env.int("RPC_MAX_BATCH", default=100)
"""Maximum number of calls in a tRPC or JSON-RPC batch."""

METRICS_TOKEN: str = env.str("METRICS_TOKEN", default="")
"""The bearer token for `/metrics`. If it is empty, the page does not exist."""

# Without a mail server, no alerts are queued for email.
EMAIL_URL: str = env.str("EMAIL_URL", default="")
if EMAIL_URL:
    vars().update(env.email_url("EMAIL_URL"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", default="AI Cost <aicost@localhost>")

SITE_URL: str = env.str("SITE_URL", default="").rstrip("/")
"""The public address of this server, used for links in messages."""
if SITE_URL and not SITE_URL.startswith(("https://", "http://")):
    raise ImproperlyConfigured("SITE_URL must be this server's address, such as https://aicost.example.com.")

WEBHOOK_ALLOW_PRIVATE: bool = env.bool("WEBHOOK_ALLOW_PRIVATE", default=False)
"""Allow webhooks to use plain HTTP and private addresses."""

TRUSTED_PROXIES: int = env.int("TRUSTED_PROXIES", default=0)
"""Number of proxies in front of this server, each of which appends its client to X-Forwarded-For."""
if TRUSTED_PROXIES < 0:
    raise ImproperlyConfigured(
        "TRUSTED_PROXIES must be the number of proxies in front of this server, 0 or more."
    )

AUDIT_RETENTION_DAYS: int = env.int("AUDIT_RETENTION_DAYS", default=400)
"""Age in days after which `prune_audit` deletes entries of the audit log."""
if not 1 <= AUDIT_RETENTION_DAYS <= 36_500:
    raise ImproperlyConfigured("AUDIT_RETENTION_DAYS must be a number of days from 1 to 36500.")

INSTALLED_APPS = [
    "aicost",
    "billing",
    "products",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "axes",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "corsheaders",
    "csp",
    "django_htmx",
    "lucide",
]

MIDDLEWARE = [
    "aicost.http.request_log.RequestLogMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "aicost.http.client_ip.ClientIPMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "aicost.http.htmx.HtmxAuthMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "aicost.urls"
WSGI_APPLICATION = "aicost.wsgi.application"
APPEND_SLASH = True

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
            ],
            "builtins": ["lucide.templatetags.lucide", "aicost.templatetags.aicost"],
        },
    }
]

DISTRIBUTED: bool = env.bool("DISTRIBUTED", default=False)
"""Whether `manage.py distribute` has distributed the tables over a cluster."""

LOCK_TIMEOUT: float = env.float("LOCK_TIMEOUT", default=20.0)
"""Seconds that a writer waits for another before the sender gets a 503 and should try again."""
if not 0 < LOCK_TIMEOUT <= 86_400:
    raise ImproperlyConfigured("LOCK_TIMEOUT must be a positive number of seconds, at most a day.")

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
# Also on SQLite, where closing the last connection writes back the whole WAL and waits for the disk.
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=600)
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE takes the write lock when a transaction begins, so that it can wait for it (timeout);
    # upgrading a read later could only fail. WAL lets readers and a writer work at the same time. FULL
    # waits for the disk at each commit, as PostgreSQL does, so recorded usage survives a power cut.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": LOCK_TIMEOUT,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    if env.bool("PREPARED_STATEMENTS", default=not DISTRIBUTED):
        # After five executions, PostgreSQL parses and plans a statement once per connection, until the
        # statistics of its tables change.
        DATABASES["default"].setdefault("OPTIONS", {}).update(server_side_binding=True, prepare_threshold=5)

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # Fragments and API outputs (`aicost.cache`), 10 to 100 kB each. Every process has its own.
    "answers": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "answers",
        "OPTIONS": {"MAX_ENTRIES": 500},
    },
    # The portfolio's figures of each product, a few kB each.
    "project figures": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "project figures",
        "OPTIONS": {"MAX_ENTRIES": 5_000},
    },
}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# Failures are counted per username and address together, so neither everyone behind an address nor
# everyone who uses an attacked account is locked out. Attempts during a lockout don't prolong it.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "aicost.http.client_ip.client_ip_or_none"
AXES_LOCKOUT_CALLABLE = "aicost.http.login_signals.lockout_response"
AXES_SENSITIVE_PARAMETERS = ["username", "ip_address", "csrfmiddlewaretoken"]
AXES_DISABLE_ACCESS_LOG = True  # the audit log records sign-ins
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "portfolio"
LOGOUT_REDIRECT_URL = "sign-in"

LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
WHITENOISE_MIMETYPES = {".ts": "text/plain"}  # TypeScript, not a video stream
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
    }
}
# Front ends on other origins call the API with a token. They never send the session cookie.
CORS_ALLOWED_ORIGINS: list[str] = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_URLS_REGEX = r"^/api/.*$"
CORS_ALLOW_METHODS = ["GET", "POST", "OPTIONS"]
CORS_ALLOW_HEADERS = ["accept", "authorization", "content-type", "trpc-accept"]

X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"

HTTPS: bool = env.bool("HTTPS", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]  # called over plain HTTP from inside the network
SECURE_HSTS_SECONDS: int = env.int("SECURE_HSTS_SECONDS", default=31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_ENGINE = "aicost.http.sessions"
SESSION_MAX_AGE_HOURS: int = env.int("SESSION_MAX_AGE_HOURS", default=336)
"""Users must sign in again after this time, however active they were."""
if not 1 <= SESSION_MAX_AGE_HOURS <= 8_760:
    raise ImproperlyConfigured("SESSION_MAX_AGE_HOURS must be a number of hours from 1 to 8760, a year.")
SESSION_COOKIE_AGE = SESSION_MAX_AGE_HOURS * 3600
# For a proxy that terminates TLS, sets X-Forwarded-Proto, and removes it from clients' requests.
if env.bool("TRUST_X_FORWARDED_PROTO", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

LOG_FORMAT: str = env.str("LOG_FORMAT", default="text" if DEBUG else "json")
if LOG_FORMAT not in ("json", "text"):
    raise ImproperlyConfigured("LOG_FORMAT must be json or text.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "aicost.http.request_log.Json"},
        "text": {"()": "aicost.http.request_log.Text"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"handlers": [], "level": "INFO"},  # only the root logger prints its messages
        # `RequestLogMiddleware` logs every request, so Django adds only server errors.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "CRITICAL"},  # noise of internet scanners
        "django.server": {"handlers": [], "level": "ERROR", "propagate": True},
        # Its messages name no user; `aicost.http.login_signals` logs ones that do.
        "axes": {"level": "ERROR"},
    },
}
