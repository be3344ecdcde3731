"""Whose certificates an identity provider may show."""

import ssl
from pathlib import Path


def trusting(ca: Path | None) -> ssl.SSLContext:
    """Return TLS 1.2 or newer that trusts ``ca`` (PEM) alone; the system's for None."""
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
