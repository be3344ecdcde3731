"""Watches how long the certificates hold that this process goes by, which are those it was started
with: the log tells while one is to be renewed, and health once it is late."""

import logging
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates

from gateway.clock import Clock
from gateway.config import GatewayConfig
from gateway.installation.home import Home
from gateway.pki.validity import Validity, without_succeeded
from gateway.server.listening import TlsFiles
from gateway.storage.background import Pace, Rounds
from gateway.telemetry.counts import CertificateCounts

_PACE: Final = Pace(60.0)
_TOLD_EVERY_SECONDS: Final = 86_400
_log = logging.getLogger(__name__)


class CertificateWatch:
    """Watches certificates of ``validities`` by ``clock``, and fills in ``counts``; one event loop's
    own."""

    def __init__(
        self, validities: Sequence[Validity], clock: Clock, counts: CertificateCounts
    ) -> None:
        self._validities = validities
        self._clock = clock
        self._counts = counts
        self._told_at: int | None = None
        self._rounds = Rounds("certificates", self._look, _PACE)

    def start(self) -> None:
        """Begin; on the event loop."""
        self._rounds.start()

    async def stop(self) -> None:
        """Watch no more."""
        await self._rounds.stop()

    def soundness(self) -> str:
        """Return what is not well and what mends it, "" for nothing."""
        now = self._clock.now()
        return " ".join(each.told(now) for each in self._validities if each.is_urgent(now))

    def look(self) -> None:
        """Look at how long each holds, and tell the log of those to be renewed, once a day."""
        now = self._clock.now()
        for setting in {each.setting for each in self._validities}:
            ends = min(each.ends for each in self._validities if each.setting == setting)
            self._counts.left_seconds[setting] = ends - now
        if self._told_at is not None and now - self._told_at < _TOLD_EVERY_SECONDS:
            return
        for each in self._validities:
            if each.is_due(now):
                self._told_at = now
                level = logging.ERROR if each.is_urgent(now) else logging.WARNING
                _log.log(level, "%s", each.told(now))

    async def _look(self) -> bool:
        self.look()
        return False


@asynccontextmanager
async def watched_certificates(
    config: GatewayConfig, home: Home, clock: Clock, counts: CertificateCounts
) -> AsyncGenerator[CertificateWatch]:
    """Give what watches the certificates of an installation while the context lasts. Raises as
    `validities_of`."""
    watch = CertificateWatch(validities_of(config, home), clock, counts)
    watch.start()
    try:
        yield watch
    finally:
        await watch.stop()


def validities_of(config: GatewayConfig, home: Home) -> list[Validity]:
    """Return those of the certificates in the files of the settings, and of the development CA where
    none is set. Raises OSError and ValueError for a file that cannot be read."""
    return [*_of_server(TlsFiles.of(config, home)), *_of_region(config, home)]


def _of_server(tls: TlsFiles) -> Iterator[Validity]:
    # The first is the server's own.
    leaf = load_pem_x509_certificate(tls.certificate.read_bytes())
    yield Validity.of("tls_certificate", "The server's certificate", "clients refuse it", leaf)
    for each in without_succeeded(load_pem_x509_certificates(tls.client_ca.read_bytes())):
        name = f"The clients' authority {each.subject.rfc4514_string()}"
        yield Validity.of("client_ca", name, "its clients cannot connect", each)


def _of_region(config: GatewayConfig, home: Home) -> Iterator[Validity]:
    if config.federation_anchor is not None:
        file: Path = config.federation_certificate or home.federation_certificate
        leaf = load_pem_x509_certificate(file.read_bytes())
        name = "The certificate shown to other regions"
        yield Validity.of("federation_certificate", name, "they refuse it", leaf)
