"""A headless Chromium of the system's, driven by Playwright."""

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Browser, async_playwright

from tests.quality.project import ROOT

LOCATOR = ROOT / ".ci" / "browser.py"
# Nothing of a browser at home: no sandbox for root, no traffic of its own.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def located() -> str:
    """Return where Chromium is; without it, fail in continuous integration, else skip."""
    done = subprocess.run(
        [sys.executable, LOCATOR, "find"], capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return done.stdout.strip()
    if os.environ.get("CI") == "true":
        pytest.fail(done.stderr)
    pytest.skip(done.stderr)


def pin_of(certificate: Path) -> str:
    """Return the digest Chromium knows a server key by."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(encoded).digest()).decode()


@asynccontextmanager
async def chromium(server_certificate: Path) -> AsyncGenerator[Browser]:
    """Run a browser with an empty profile that trusts one server's key, and no other."""
    pinned = f"--ignore-certificate-errors-spki-list={pin_of(server_certificate)}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=located(), headless=True, args=[*ARGUMENTS, pinned]
        )
        try:
            yield browser
        finally:
            await browser.close()
