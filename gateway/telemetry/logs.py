"""Logs of one process: lines on standard error, without subject data or secrets."""

import logging
import time
from typing import Final

_FORMAT: Final = "%(asctime)sZ %(levelname)s %(name)s %(message)s"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"
# What these libraries say below a warning is about every connection, not about the gateway.
_QUIET: Final = ("alembic", "grpc", "httpx", "sqlalchemy", "uvicorn")


def log_to_stderr(level: str) -> None:
    """Log what is at least of ``level`` ("debug" to "error"), times in UTC."""
    formatter = logging.Formatter(_FORMAT, _TIME)
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
