"""Where a gateway listens: its certificate, the limits of a connection, addresses as others reach them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc

from gateway.config import GatewayConfig
from gateway.installation.home import Home
from gateway.oauth.door import HANDSHAKE_SECONDS
from gateway.server.files import most_grpc

_WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104  # recognised, not bound
_MOST_METADATA_BYTES: Final = 16_384
_LEAST_PING_SECONDS: Final = 10
# A connection without a call holds one of the files there are; to open another takes milliseconds.
_IDLE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of the server: its certificate chain and key, and the clients' CA."""

    certificate: Path
    key: Path
    client_ca: Path

    @classmethod
    def of(cls, config: GatewayConfig, home: Home) -> "TlsFiles":
        """Return what is configured, the development CA's where nothing is."""
        return cls(
            config.tls_certificate or home.server_certificate,
            config.tls_key or home.server_key,
            config.client_ca or home.ca,
        )


def grpc_tls(tls: TlsFiles) -> grpc.ServerCredentials:
    """Return the credentials of a gRPC server that asks clients for certificates. Raises OSError."""
    return grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=tls.client_ca.read_bytes(),
        require_client_auth=True,
    )


def most_sent(config: GatewayConfig) -> int:
    """Return how many bytes a message that is sent may have."""
    # A little room beside the records for the receipt of an answer.
    return config.max_message_bytes + 65_536


def options(config: GatewayConfig) -> list[tuple[str, Any]]:
    """Return the options of the gRPC server: limits of sizes, counts and pings."""
    return [
        ("grpc.so_reuseport", int(config.workers > 1)),
        ("grpc.max_send_message_length", most_sent(config)),
        ("grpc.max_receive_message_length", config.max_request_bytes),
        # gRPC counts a stream until it is forgotten, a moment after its end is sent, and refuses those
        # that clients rightly open in its place: so there are more than one operator's `Places`.
        # Without that count one connection could fill the memory by calls that it resets.
        ("grpc.max_concurrent_streams", config.max_streams_per_client),
        ("grpc.max_allowed_incoming_connections", most_grpc()),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_SECONDS * 1_000),
        ("grpc.max_metadata_size", _MOST_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", _MOST_METADATA_BYTES),
        ("grpc.max_connection_idle_ms", _IDLE_SECONDS * 1_000),
        # A client that pings more often than this is cut off (GOAWAY too_many_pings).
        ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_PING_SECONDS * 1_000),
    ]


def issuer_of(config: GatewayConfig, https_port: int) -> str:
    """Return the public URL of a gateway that serves HTTPS at a port."""
    return str(config.issuer or url(config.https_host, https_port))


def reachable(host: str) -> str:
    """Return the host that a client on this machine reaches ``host`` by."""
    return "127.0.0.1" if host in _WILDCARDS else host


def address(host: str, port: int) -> str:
    """Return host and port as one text; IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(host: str, port: int) -> str:
    """Return the https URL of a host and port, as a client reaches it."""
    return f"https://{address(reachable(host), port)}"
