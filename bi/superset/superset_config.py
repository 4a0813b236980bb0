"""How Superset runs on one machine for Kehu; scripts/superset_stack.py names what differs per home.

Superset opens a connection for each query and closes it (NullPool, its default for what it shows),
and DuckDB knows a file by its real path: so a query reads the publication that `published` points to
when it begins, also while another still reads the one before.
"""

import os
from typing import Any

SECRET_KEY = os.environ["KEHU_SUPERSET_SECRET"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{os.environ['KEHU_SUPERSET_FOLDER']}/superset.db"
SQLALCHEMY_ENGINE_OPTIONS = {"connect_args": {"timeout": 30}}

# Pages may fetch from this server alone. Superset's pages ask a server of its makers for a picture, to
# count users, and no setting of a built Superset stops that. Behind TLS: force_https and
# session_cookie_secure True.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "connect-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "object-src": "'none'",
        "script-src": ["'self'", "'strict-dynamic'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "worker-src": ["'self'", "blob:"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}
SESSION_COOKIE_SAMESITE = "Lax"
RATELIMIT_ENABLED = False

# What a filter of a dashboard is set to, kept in the metadata database; answers are not kept at all:
# DuckDB gives them in milliseconds, and yesterday's would outlive a publication.
CACHE_CONFIG: dict[str, Any] = {"CACHE_TYPE": "NullCache"}
DATA_CACHE_CONFIG: dict[str, Any] = {"CACHE_TYPE": "NullCache"}

BABEL_DEFAULT_LOCALE = "en"
LANGUAGES = {
    "en": {"flag": "us", "name": "English"},
    "zh": {"flag": "cn", "name": "中文"},
}
ROW_LIMIT = 10000
SQL_MAX_ROW = 10000
FEATURE_FLAGS = {"ALERT_REPORTS": False, "DASHBOARD_RBAC": True}
PREVENT_UNSAFE_DB_CONNECTIONS = True
