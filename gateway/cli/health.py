"""``creditgate health``: whether the gateway of these settings serves, for whatever watches it.

It is asked on this host, for its health alone, and nothing secret is sent: so a certificate that the
host's files have no more is told, and does not keep it from being asked.
"""

import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.options import AsJson, Config
from gateway.cli.output import print_json

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from gateway.cli.shown import OwnCertificate
    from gateway.config import GatewayConfig

_SECONDS: Final = 5.0


def health(
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            exists=True,
            dir_okay=False,
            help="Ask by gRPC (grpc.health.v1) too, showing this certificate (PEM) of client_ca,"
            " which needs not be any client's.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", exists=True, dir_okay=False, help="The certificate's private key."),
    ] = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Ask the gateway on this host whether it serves. Exit status 1 where it does not.

    By HTTPS it also says whether the process can see the state of authority, and what is not well
    though it serves, as a certificate that is another than the file's, or over.
    """
    from gateway.config import GatewayConfig

    if (certificate is None) != (key is None):
        raise CommandFailed("Give --certificate and --key together.")
    settings = GatewayConfig.load(config)
    own = _own_certificate(settings)
    asked = ["https"]
    detail, shown = _ask_https(settings)
    told = [own.unwell(shown), detail]
    if certificate is not None and key is not None:
        asked.append("grpc")
        told.append(_ask_grpc(settings, own, shown, certificate, key))
    unwell = " ".join(filter(None, dict.fromkeys(told)))
    if as_json:
        print_json({"serving": True, "asked": asked, "unwell": unwell})
    elif unwell:
        typer.echo(f"The gateway serves, but not all is well. {unwell}")
    else:
        typer.echo("The gateway serves.")


def _own_certificate(settings: "GatewayConfig") -> "OwnCertificate":
    """Return the server's own certificate. Raises CommandFailed where it cannot be read."""
    from gateway.cli.shown import OwnCertificate
    from gateway.installation.home import Home
    from gateway.server.listening import TlsFiles

    home = Home.at(settings.home)
    own = TlsFiles.of(settings, home).certificate
    try:
        return OwnCertificate.read(own, home.ca if settings.tls_certificate is None else None)
    except OSError as error:
        own = Path(error.filename or own)
        fault = f"cannot be read ({error.strerror})"
    except ValueError:
        fault = "is no certificate (PEM)"
    mend = (
        "`creditgate serve` sets it up; is `home` right (CREDITGATE_HOME)?"
        if settings.tls_certificate is None
        else "Mend tls_certificate (CREDITGATE_TLS_CERTIFICATE)."
    )
    raise CommandFailed(f"The gateway's own certificate {own} {fault}. {mend}")


def _ask_https(settings: "GatewayConfig") -> tuple[str, "Certificate"]:
    """Return what is not well, "" for nothing, and the certificate that was shown. Raises
    CommandFailed where it does not serve."""
    import httpx
    from cryptography.x509 import load_der_x509_certificate

    from gateway.server.listening import url

    place = url(settings.https_host, settings.https_port)
    try:
        with (
            httpx.Client(verify=_any_certificate(), timeout=_SECONDS, trust_env=False) as client,
            client.stream("GET", f"{place}/healthz") as answer,
        ):
            connection = answer.extensions["network_stream"].get_extra_info("ssl_object")
            shown = load_der_x509_certificate(connection.getpeercert(True))
            answer.read()
    except (httpx.HTTPError, ssl.SSLError) as error:
        raise CommandFailed(
            f"The gateway does not answer by HTTPS at {place}: {_cause(error)}."
        ) from None
    if not answer.is_success:
        raise CommandFailed(f"The gateway answers by HTTPS with status {answer.status_code}.")
    try:
        told = answer.json()
        return {"ok": "", "impaired": told.get("detail", "")}[told["status"]], shown
    except (AttributeError, KeyError, TypeError, ValueError):
        raise CommandFailed(f"What answers by HTTPS at {place} is no gateway.") from None


def _ask_grpc(
    settings: "GatewayConfig",
    own: "OwnCertificate",
    shown_by_https: "Certificate",
    certificate: Path,
    key: Path,
) -> str:
    """Return what is not well with the certificate shown, "" for nothing. Raises CommandFailed where it does not
    serve."""
    import grpc
    from cryptography.hazmat.primitives.serialization import Encoding
    from grpc_health.v1 import health_pb2

    from gateway.clock import SystemClock
    from gateway.pki.validity import Validity
    from gateway.server.listening import address, reachable

    host = reachable(settings.grpc_host)
    shown = _shown_by_grpc(host, settings.grpc_port, certificate, key)
    unwell = own.unwell(shown)
    validity = Validity.of(
        "tls_certificate", "The server's certificate", "clients refuse it", shown
    )
    if not validity.begins <= (now := SystemClock().now()) < validity.ends:
        raise CommandFailed(f"The gateway cannot be asked by gRPC. {validity.told(now)}")
    # While one process takes over from another, either may be met.
    known = b"".join(each.public_bytes(Encoding.PEM) for each in (own.leaf, shown, shown_by_https))
    tls = grpc.ssl_channel_credentials(known, key.read_bytes(), certificate.read_bytes())
    options = [("grpc.ssl_target_name_override", name) for name in own.names_of_both(shown)[:1]]
    with grpc.secure_channel(address(host, settings.grpc_port), tls, options=options) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            told = check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
        except grpc.RpcError as error:
            raise CommandFailed(
                f"The gateway does not answer by gRPC: {error.code().name} ({error.details()})."
            ) from None
    if told.status != health_pb2.HealthCheckResponse.SERVING:
        raise CommandFailed("The gateway answers by gRPC that it does not serve.")
    return unwell


def _shown_by_grpc(host: str, port: int, certificate: Path, key: Path) -> "Certificate":
    """Return the certificate that the gRPC server shows. Raises CommandFailed with why it does not,
    which gRPC itself would not tell."""
    from cryptography.x509 import load_der_x509_certificate

    tls = _any_certificate()
    tls.set_alpn_protocols(["h2"])
    try:
        tls.load_cert_chain(certificate, key, password="")
    except OSError as error:
        raise CommandFailed(f"{certificate} cannot be used with {key}: {_cause(error)}.") from None
    try:
        with (
            socket.create_connection((host, port), _SECONDS) as plain,
            tls.wrap_socket(plain) as connection,
        ):
            shown = connection.getpeercert(True)
            # By TLS 1.3 a certificate is refused after the handshake only, which gRPC does in silence.
            is_refused = not connection.recv(1)
    except OSError as error:
        raise CommandFailed(f"The gateway does not answer by gRPC: {_cause(error)}.") from None
    if is_refused:
        raise CommandFailed(
            f"The gateway does not answer by gRPC: it closes the connection, as where {certificate}"
            " is of no authority of client_ca, or not valid now."
        )
    assert shown is not None
    return load_der_x509_certificate(shown)


def _any_certificate() -> ssl.SSLContext:
    """Return the settings of a client that looks at the certificate afterwards, to tell of it."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return tls


def _cause(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
