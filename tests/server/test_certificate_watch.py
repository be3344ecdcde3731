"""The end of certificates is told before it comes: by the log, by health, by a metric."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from gateway.installation.home import Home
from gateway.pki.development import make_ca, make_client_certificate, make_server_certificate
from gateway.server.certificate_watch import CertificateWatch, validities_of
from gateway.telemetry.counts import CertificateCounts
from gateway.telemetry.telemetry import Telemetry
from tests.cli.commands import creditgate_here
from tests.clock import NOW, StandingClock
from tests.installation import Installation

_DAY = 86_400
_LEAF_DAYS, _CA_DAYS = 397, 3650


def _files(at: Path, now: int, days: int, ca_days: int = _CA_DAYS) -> dict[str, Path]:
    """Write certificates that end in so many days; return the settings that name them."""
    ca = make_ca("root", now + (ca_days - _CA_DAYS) * _DAY)
    ca.write(at / "ca.pem", at / "ca.key")
    issued = make_server_certificate(ca, now + (days - _LEAF_DAYS) * _DAY)
    issued.write(at / "one.pem", at / "one.key")
    region = make_client_certificate(ca, "region", now + (days - _LEAF_DAYS) * _DAY)
    region.write(at / "region.pem", at / "region.key")
    return {
        "tls_certificate": at / "one.pem",
        "tls_key": at / "one.key",
        "client_ca": at / "ca.pem",
        "federation_certificate": at / "region.pem",
    }


def _watch(
    embedded: Installation, files: dict[str, Path], clock: StandingClock, **settings: Any
) -> tuple[CertificateWatch, CertificateCounts]:
    config = embedded.config.model_copy(update={**files, **settings})
    counts = CertificateCounts()
    return CertificateWatch(validities_of(config, Home.at(config.home)), clock, counts), counts


def test_the_log_tells_once_a_day_from_thirty_days_before(
    embedded: Installation, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = StandingClock(NOW)
    watch, counts = _watch(embedded, _files(tmp_path, NOW, days=31), clock)

    def told() -> list[tuple[str, str]]:
        caplog.clear()
        watch.look()
        return [(each.levelname, each.message) for each in caplog.records]

    assert told() == []
    assert counts.left_seconds == {"tls_certificate": 31 * _DAY, "client_ca": _CA_DAYS * _DAY}
    clock.at += _DAY + 1
    ((level, message),) = told()
    assert level == "WARNING"
    assert message.startswith("The server's certificate (tls_certificate) ends in 29 days")
    assert watch.soundness() == ""
    clock.at += _DAY - 1
    assert told() == []
    clock.at += 1
    assert len(told()) == 1
    clock.at += 25 * _DAY
    ((level, message),) = told()
    assert (level, watch.soundness()) == ("ERROR", message)
    clock.at += 5 * _DAY
    ((level, message),) = told()
    assert "ended at " in message and "Renew it, and start the gateway again." in message
    assert counts.left_seconds["tls_certificate"] < 0


def test_authorities_of_clients_and_the_certificate_for_regions_are_told_too(
    embedded: Installation, tmp_path: Path
) -> None:
    files = _files(tmp_path, NOW, days=3, ca_days=2)
    watch, _ = _watch(embedded, files, StandingClock(NOW), federation_anchor="https://anchor")
    told = watch.soundness()
    assert "The clients' authority CN=root (client_ca) ends in 2 days" in told
    assert "The certificate shown to other regions (federation_certificate) ends in 3 days" in told
    watch, _ = _watch(embedded, files, StandingClock(NOW))
    assert "regions" not in watch.soundness()


async def test_health_and_the_log_tell_of_one_that_is_over(
    embedded: Installation, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = "The server's certificate (tls_certificate) ended at "
    files = _files(tmp_path, embedded.clock.now(), days=-300)
    del files["client_ca"], files["federation_certificate"]
    async with embedded.running(**files) as gateway:
        async with httpx.AsyncClient(verify=False) as http:
            answer = await http.get(f"{gateway.running.issuer}/healthz")
        assert (answer.status_code, answer.json()["status"]) == (200, "impaired")
        assert answer.json()["detail"].startswith(said)
        at = {name.upper(): str(file) for name, file in files.items()}
        at["HTTPS_PORT"] = str(urlsplit(gateway.running.issuer).port)
        done = await asyncio.to_thread(creditgate_here, embedded.folder, "health", **at)
        assert (done.status, said in done.out) == (0, True)
    assert said in caplog.text


def test_the_seconds_left_are_a_metric() -> None:
    reader = InMemoryMetricReader()
    telemetry = Telemetry(reader=reader)
    telemetry.certificates.left_seconds["tls_certificate"] = -5
    data = reader.get_metrics_data()
    assert data is not None
    (metric,) = (
        metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "creditgate.certificate.remaining"
    )
    (point,) = metric.data.data_points
    assert (point.value, point.attributes) == (-5, {"creditgate.setting": "tls_certificate"})  # pyright: ignore[reportAttributeAccessIssue]
    telemetry.close()
