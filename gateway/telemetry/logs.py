"""Logs of one process: lines on standard error, without subject data or secrets."""

import logging
import os
import time
from collections.abc import Sequence
from typing import Final

from gateway.telemetry.collector_headers import secrets_of_headers

_FORMAT: Final = "%(asctime)sZ %(levelname)s %(name)s %(message)s"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"
# What these libraries say below a warning is about every connection, not about the gateway.
_QUIET: Final = ("alembic", "grpc", "httpx", "sqlalchemy", "uvicorn")
# These are given the collector's headers, and log what they fail with.
_TOLD_SECRETS: Final = frozenset({"grpc", "opentelemetry"})
_HIDDEN: Final = "***"


class _Lines(logging.Formatter):
    """Lines with times in UTC; ``secrets`` are hidden in those of libraries that know them."""

    converter = time.gmtime

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__(_FORMAT, _TIME)
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        if record.name.partition(".")[0] in _TOLD_SECRETS:
            for secret in self._secrets:
                line = line.replace(secret, _HIDDEN)
        return line


def log_to_stderr(level: str) -> None:
    """Log what is at least of ``level`` ("debug" to "error"), times in UTC."""
    formatter = _Lines(secrets_of_headers(os.environ))
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
