"""``creditgate health``: whether the gateway of these settings serves, for whatever watches it."""

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.cli.failures import CommandFailed
from gateway.cli.options import AsJson, Config
from gateway.cli.output import print_json

if TYPE_CHECKING:
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
    though it serves.
    """
    from gateway.config import GatewayConfig

    if (certificate is None) != (key is None):
        raise CommandFailed("Give --certificate and --key together.")
    settings = GatewayConfig.load(config)
    own = _own_certificate(settings)
    asked = ["https"]
    unwell = _ask_https(settings, own)
    if certificate is not None and key is not None:
        asked.append("grpc")
        _ask_grpc(settings, own, certificate, key)
    if as_json:
        print_json({"serving": True, "asked": asked, "unwell": unwell})
    elif unwell:
        typer.echo(f"The gateway serves, but not all is well. {unwell}")
    else:
        typer.echo("The gateway serves.")


def _own_certificate(settings: "GatewayConfig") -> Path:
    """Return the server's own certificate, the only one that is believed here. Raises CommandFailed
    where it cannot be read."""
    from cryptography.x509 import load_pem_x509_certificates

    from gateway.installation.home import Home
    from gateway.server.listening import TlsFiles

    own = TlsFiles.of(settings, Home.at(settings.home)).certificate
    try:
        load_pem_x509_certificates(own.read_bytes())
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    except ValueError:
        fault = "is no certificate (PEM)"
    else:
        return own
    mend = (
        "`creditgate serve` sets it up; is `home` right (CREDITGATE_HOME)?"
        if settings.tls_certificate is None
        else "Mend tls_certificate (CREDITGATE_TLS_CERTIFICATE)."
    )
    raise CommandFailed(f"The gateway's own certificate {own} {fault}. {mend}")


def _ask_https(settings: "GatewayConfig", own: Path) -> str:
    """Return what is not well, "" for nothing. Raises CommandFailed where it does not serve."""
    import httpx

    from gateway.server.listening import url

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Of itself, by whatever address: the certificate is known, not only its issuer.
    tls.check_hostname = False
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        tls.load_verify_locations(own)
        with httpx.Client(verify=tls, timeout=_SECONDS, trust_env=False) as client:
            answer = client.get(f"{url(settings.https_host, settings.https_port)}/healthz")
    except (httpx.HTTPError, ssl.SSLError) as error:
        raise CommandFailed(
            f"The gateway does not answer by HTTPS: {type(error).__name__}."
        ) from None
    if not answer.is_success:
        raise CommandFailed(f"The gateway answers by HTTPS with status {answer.status_code}.")
    return str(answer.json().get("detail", ""))


def _ask_grpc(settings: "GatewayConfig", own: Path, certificate: Path, key: Path) -> None:
    import grpc
    from cryptography import x509
    from grpc_health.v1 import health_pb2

    from gateway.server.listening import address, reachable

    own_chain = own.read_bytes()
    tls = grpc.ssl_channel_credentials(own_chain, key.read_bytes(), certificate.read_bytes())
    leaf = x509.load_pem_x509_certificate(own_chain)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    known = [*names.get_values_for_type(x509.DNSName)]
    known += [str(each) for each in names.get_values_for_type(x509.IPAddress)]
    place = address(reachable(settings.grpc_host), settings.grpc_port)
    options = [("grpc.ssl_target_name_override", known[0])]
    with grpc.secure_channel(place, tls, options=options) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            told = check(health_pb2.HealthCheckRequest(), timeout=_SECONDS)
        except grpc.RpcError as error:
            raise CommandFailed(
                f"The gateway does not answer by gRPC: {error.code().name}."
            ) from None
    if told.status != health_pb2.HealthCheckResponse.SERVING:
        raise CommandFailed("The gateway answers by gRPC that it does not serve.")
