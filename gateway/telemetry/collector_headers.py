"""Headers that go to the collector, as OpenTelemetry's library reads them from the environment: their
form, and what of them must not be logged. The library logs whole what it cannot read or send.

Source: OpenTelemetry Protocol Exporter, "Specifying headers via environment variables"; gRPC over
HTTP/2, "Custom-Metadata".
"""

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import unquote

from gateway.config import ConfigRefused, GatewayConfig

HEADER_VARIABLES: Final = (
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
)
"""Variables of what the gateway sends."""
_NAME: Final = re.compile(r"[0-9A-Za-z_.-]+")
_WRITTEN: Final = re.compile(r"[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
_SENT: Final = re.compile(r"[\x20-\x7e]*")
_BINARY: Final = "-bin"
_SHORTEST_SECRET: Final = 4
"""What is shorter, such as a tenant's number, may stand anywhere by chance."""
_BASIC: Final = re.compile(r"[Bb]asic +([0-9A-Za-z+/]+=*)")
_ESCAPED: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\\"'"})


def require_collector_headers(config: GatewayConfig, environment: Mapping[str, str]) -> None:
    """Raise ConfigRefused, without a value, where something is sent to a collector and a variable
    of its headers has none that can be sent."""
    wrong = [
        f"  {variable}: write NAME=VALUE, with commas between several, in plain letters, and what"
        " else a value has as %XX, for example authorization=Bearer%20TOKEN"
        for variable in HEADER_VARIABLES
        if not all(map(_can_be_sent, _written_in(environment, variable)))
    ]
    if wrong and config.otlp_endpoint is not None:
        raise ConfigRefused("\n".join(("The collector's headers are not right:", *wrong)))


def secrets_of_headers(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return what of the variables must not be logged, in each form it may come, longest first."""
    found = {
        secret
        for variable in HEADER_VARIABLES
        for header in _written_in(environment, variable)
        for form in (header, header.partition("=")[2])
        for text in (form, unquote(form))
        for part in (text, *text.split(), *_user_and_password(text))
        for secret in (part, part.translate(_ESCAPED))
        if len(secret) >= _SHORTEST_SECRET
    }
    return tuple(sorted(found, key=len, reverse=True))


def _user_and_password(text: str) -> Iterator[str]:
    """Give what Basic credentials hold (RFC 7617), which a collector may tell back."""
    for found in _BASIC.finditer(text):
        with suppress(ValueError):
            both = b64decode(found[1]).decode()
            yield from (both, both.partition(":")[2])


def _written_in(environment: Mapping[str, str], variable: str) -> Iterator[str]:
    written = (header.strip() for header in environment.get(variable, "").split(","))
    return filter(None, written)


def _can_be_sent(header: str) -> bool:
    name, sign, value = header.partition("=")
    name = unquote(name).strip().lower()
    return (
        bool(sign)
        and _NAME.fullmatch(name) is not None
        and not name.endswith(_BINARY)
        and _WRITTEN.fullmatch(value) is not None
        and _SENT.fullmatch(unquote(value)) is not None
    )
