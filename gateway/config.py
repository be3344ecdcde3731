"""Settings of one gateway process: TOML file, overridden by the environment.

``CREDITGATE_HOME=/srv/creditgate`` sets ``home``, and so on for every field. A key of
the file that is no field is refused; of the environment it is only where it reads nearly like one,
since platforms put variables of the same prefix there (Kubernetes does for a service of that name).
"""

import os
import re
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AwareDatetime,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from gateway.listening_places import Place
from gateway.misspelt import misspelt

PREFIX = "CREDITGATE_"
CONFIG_VARIABLE = "CREDITGATE_CONFIG"
PROFILE_VARIABLE = "CREDITGATE_PROFILE"
"""What commands act as, where nothing else is said; read by them, not here."""
DEVELOPMENT_PROVIDER_HOST = "127.0.0.1"
"""Address the development provider listens on."""
USUAL_CONNECTIONS = 16
"""Connections to PostgreSQL that a process keeps open for records, where nothing else is said."""

Host = Annotated[str, Field(min_length=1, pattern=r"^[^\s/]+$")]
Port = Annotated[int, Field(ge=0, le=65_535)]
# As SQLAlchemy takes a URL apart: in another it finds a part of the password where the host or the
# port is, and tells it with the failure.
_POSTGRESQL = re.compile(
    r"[a-z]+://(?:[^:/]*(?::[^@]*)?@)?(?:\[[^/?@]+\]|[^/:?@]*)(?::\d+)?(?:/[^?@]*)?"
    r"(?:\?[^@=]*(?:=.*)?)?"
)
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+[^\s?#]*$")]
HttpsUrl = Annotated[str, Field(pattern=r"^https://[^\s/?#]+[^\s?#]*$")]


class ConfigRefused(ValueError):
    """The settings cannot be used; the message names each field and its mend, never a value."""


class GatewayConfig(BaseSettings):
    """Everything an installation may set; see each field for its unit."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    home: Path = Path("var")
    """Folder of everything the gateway keeps: SQLite files, keys of the development CA."""

    database: SecretStr = SecretStr("sqlite")
    """"sqlite" (files in ``home``) or a PostgreSQL URL, which may hold a password."""

    database_connections: Annotated[int, Field(ge=4, le=1_000)] = USUAL_CONNECTIONS
    """Connections to PostgreSQL that each process keeps open for records and use; of evidence half
    as many, of authority a quarter, and up to four more of each while all are busy. At start it
    is told where PostgreSQL allows fewer than a host may open."""

    database_partitions: Annotated[int, Field(ge=1, le=1_024)] = 16
    """In how many parts a new installation on PostgreSQL keeps who used what of a company; later
    it changes nothing."""

    grpc_host: Host = "127.0.0.1"
    """Address gRPC listens on."""

    grpc_port: Port = 50_051
    """Port gRPC listens on; 0 takes any free one."""

    https_host: Host = "127.0.0.1"
    """Address the authorisation server listens on."""

    https_port: Port = 8_443
    """Port the authorisation server listens on; 0 takes any free one."""

    issuer: HttpsUrl | None = None
    """Public https URL of the authorisation server (RFC 8414), also the issuer of its
    tokens. None: https:// with the address and port it listens on."""

    grpc_url: HttpsUrl | None = None
    """Public https URL of the gRPC methods, which proofs name (RFC 9449); the same on
    every replica. None: https:// with the address and port gRPC listens on."""

    audience: Annotated[str, Field(min_length=1)] = "urn:creditgate:records"
    """Resource the tokens are for: their ``aud`` (RFC 9068); the same on every replica."""

    oidc_issuer: HttpsUrl | None = None
    """Issuer of the OpenID provider where people sign in: administrators and companies'
    representatives. None: nobody can, unless ``development_provider`` is set."""

    oidc_client_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    """What the gateway is called at ``oidc_issuer``; its redirect URI there is the
    issuer's URL with /signin/callback."""

    oidc_client_key: Path | None = None
    """PEM file: the private key the gateway authenticates with at ``oidc_issuer``
    (private_key_jwt): EC P-256, Ed25519 or RSA."""

    oidc_ca: Path | None = None
    """PEM file: authorities for the TLS certificate of ``oidc_issuer``. None: the system's."""

    oidc_strong_acr_values: Annotated[tuple[str, ...], Field(max_length=16)] = ()
    """Values of ``acr`` by which ``oidc_issuer`` tells that somebody signed in by more
    than one factor. Without any, no sign-in is strong, and guarded actions stay closed."""

    development_provider: bool = False
    """Runs an identity provider with invented people and no passwords, for demo and tests.
    Refused beside a real provider or certificates that are not the development CA's."""

    development_provider_port: Port = 8_444
    """Port of the development provider on 127.0.0.1; 0 takes any free one. People are known
    by their provider's URL, so another port makes them other people."""

    workers: Annotated[int, Field(ge=1, le=256)] = 1
    """Server processes sharing the gRPC port; about one for each core."""

    tls_certificate: Path | None = None
    """PEM file: the server's certificate chain. None: one of the development CA."""

    tls_key: Path | None = None
    """PEM file: the private key of ``tls_certificate``."""

    client_ca: Path | None = None
    """PEM file: authorities whose client certificates are accepted. None: the
    development CA."""

    max_message_bytes: Annotated[int, Field(ge=65_536, le=64 << 20)] = 4 << 20
    """Largest answer message, in bytes, but for the leaf of its use and what signs it (up to 4 KiB);
    larger batches come in more messages."""

    max_request_bytes: Annotated[int, Field(ge=65_536, le=64 << 20)] = 4 << 20
    """Largest request message, in bytes."""

    max_concurrent_calls: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Calls one process works on at once; more are refused, and so is who would hold more of them
    than are left free. A tenth is kept for administrators."""

    max_streams_per_client: Annotated[int, Field(ge=1, le=10_000)] = 1_000
    """Calls one connection may have open at once, those that ended a moment ago among them. gRPC
    refuses more without details; so let it be more than one operator may have open
    (max_concurrent_calls)."""

    max_subjects_per_batch: Annotated[int, Field(ge=1, le=50_000)] = 50_000
    """Subjects of one BatchGetSubjectRecords call."""

    chunk_subjects: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Subjects served, metered and sent together in a batch. Changing it makes clients
    unable to resume batches broken before."""

    delivery_chunk_subjects: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Subjects served and metered together in a delivery. Changing it makes clients unable to
    resume deliveries broken before."""

    delivery_window_records: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    """Most records of a delivery that are sent and not acknowledged."""

    delivery_grace_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    """How long a delivery that broke is waited for, in seconds; then it is settled at the last
    record acknowledged."""

    delivery_unacknowledged_records_per_day: Annotated[int, Field(ge=0, le=10**9)] = 10_000
    """Most records without acknowledgement that an operator is credited in a UTC day; more of
    them stay charged."""

    lease_seconds: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How long a process may go on with the authority it last read, in seconds; past it,
    it refuses (guarantee G4 allows at most 1)."""

    authority_poll_ms: Annotated[int, Field(ge=10, le=500)] = 100
    """Milliseconds between two looks at the authority log; less than the lease."""

    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 20.0
    """Seconds open calls get to end after SIGTERM."""

    token_seconds: Annotated[int, Field(ge=30, le=900)] = 300
    """Life of an access token, in seconds."""

    grant_seconds: Annotated[int, Field(ge=300, le=366 * 86_400)] = 90 * 86_400
    """How long what a person approved lasts, with its refresh token, in seconds."""

    rotate_refresh_tokens_before: AwareDatetime | None = None
    """After an incident: refresh tokens issued before this time are replaced when next
    used, for example 2026-11-25T08:00:00Z. None: they stay the same, as FAPI 2.0 asks."""

    replay_window_seconds: Annotated[int, Field(ge=60, le=31 * 86_400)] = 86_400
    """How long a request id answers retries without charge, in seconds."""

    conformance_policy: Path | None = None
    """YAML file: deadlines, stages and sampling of conformance, as gateway/conformance/policy.yaml.
    None: that one."""

    alert_policy: Path | None = None
    """YAML file: from how much on use is unusual, as gateway/alerts/policy.yaml. None: that one."""

    agreement_policy: Path | None = None
    """YAML file: by when operators agree with their usage logs, as gateway/usage/policy.yaml.
    None: that one."""

    otlp_endpoint: HttpUrl | None = None
    """OTLP/gRPC collector for traces and metrics, for example http://127.0.0.1:4317.
    None: nothing is sent."""

    usage_export_folder: Path | None = None
    """Folder that uses are written to as files of CloudEvents (JSON Lines). None: nowhere."""

    usage_export_url: HttpUrl | None = None
    """Endpoint that uses are posted to as batches of CloudEvents, https, or http on this host,
    for example https://metering.example/api/v1/events. Another URL is sent all uses from the
    first. None: nowhere."""

    usage_export_token: Path | None = None
    """File with the bearer token for ``usage_export_url``; read anew each time. None: none."""

    usage_export_ca: Path | None = None
    """PEM file: authorities for the TLS certificate of ``usage_export_url``. None: the
    system's."""

    federation_anchor: HttpsUrl | None = None
    """Entity identifier of the national trust anchor (OpenID Federation 1.0), under which this
    gateway is a region. None: it is in no federation, and answers no region."""

    federation_anchor_keys: Path | None = None
    """JSON file: the anchor's public keys (JWK Set), got from it by another way than the
    network; goes with ``federation_anchor``."""

    federation_anchor_ca: Path | None = None
    """PEM file: authorities for the TLS certificate of ``federation_anchor``. None: the
    system's."""

    federation_lease_seconds: Annotated[float, Field(ge=3, le=300)] = 15.0
    """How long a process may go on with what it last heard from the anchor, and of licences and
    consents of other regions, in seconds; past it, all that crosses regions is refused."""

    federation_certificate: Path | None = None
    """PEM file: the certificate chain this gateway shows to other regions. None: one of the
    development CA."""

    federation_certificate_key: Path | None = None
    """PEM file: the private key of ``federation_certificate``."""

    federation_next_certificate: Path | None = None
    """PEM file: a certificate that is to take the place of ``federation_certificate``; other
    regions are told of it beforehand. None: there is none."""

    federation_roots: Path | None = None
    """PEM file: authorities of this gateway's server certificate and of
    ``federation_certificate``, which other regions check them against. None: the development
    CA."""

    witness_quorum: Annotated[int, Field(ge=1, le=256)] | None = None
    """Of how many witnesses, which other regions are, a region's checkpoint needs cosignatures
    before what it proves is believed. None: of more than half. With fewer a region can be
    asked while more of the others are down, and two histories need fewer that conspire."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is logged."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return what is given, before the environment where it has a variable of the prefix: each
        source is asked for every field, which takes most of what the settings take."""
        del settings_cls, dotenv_settings, file_secret_settings
        if any(name.upper().startswith(PREFIX) for name in os.environ):
            return init_settings, env_settings
        return (init_settings,)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_flag(cls, value: object, info: ValidationInfo) -> object:
        # Python would take it for 1 or 0.
        if (
            isinstance(value, bool)
            and cls.model_fields[str(info.field_name)].annotation is not bool
        ):
            raise ValueError("use a number or text; only switches are true or false")
        return value

    @field_validator("home", "usage_export_folder", mode="before")
    @classmethod
    def _is_named(cls, folder: object) -> object:
        # As a path it would be the current folder, which nobody means by saying nothing.
        if isinstance(folder, str) and not folder.strip():
            raise ValueError('name a folder; "." is the one the gateway is started in')
        return folder

    @field_validator("database")
    @classmethod
    def _is_a_known_store(cls, database: SecretStr) -> SecretStr:
        value = database.get_secret_value()
        if value != "sqlite" and not value.startswith(("postgresql://", "postgres://")):
            raise ValueError('use "sqlite" or a URL that starts with postgresql://')
        if value != "sqlite" and not _POSTGRESQL.fullmatch(value):
            raise ValueError(
                "write postgresql://USER:PASSWORD@HOST:PORT/NAME, with @ in a user or password as %40"
            )
        return database

    @field_validator("otlp_endpoint")
    @classmethod
    def _holds_no_credentials(cls, endpoint: str | None) -> str | None:
        # OTLP has no user; the library would look for a host of that name, and log all of it.
        if endpoint is not None and "@" in unquote(endpoint):
            raise ValueError(
                "leave out user and password; what the collector asks for goes into the variable"
                " OTEL_EXPORTER_OTLP_HEADERS"
            )
        return endpoint

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("set tls_certificate and tls_key together")
        if (
            len(
                {
                    self.oidc_issuer is None,
                    self.oidc_client_id is None,
                    self.oidc_client_key is None,
                }
            )
            > 1
        ):
            raise ValueError("set oidc_issuer, oidc_client_id and oidc_client_key together")
        if self.development_provider and (self.oidc_issuer or self.tls_certificate):
            raise ValueError(
                "development_provider must not stand beside oidc_issuer or tls_certificate: unset it"
            )
        if self.development_provider and self.workers > 1:
            raise ValueError("development_provider is one process's: set workers to 1")
        if self.usage_export_url is None and (self.usage_export_token or self.usage_export_ca):
            raise ValueError("usage_export_token and usage_export_ca go with usage_export_url")
        if self.usage_export_url and not _is_guarded(self.usage_export_url):
            raise ValueError("usage_export_url must be https, or http on this host")
        if self.delivery_grace_seconds > self.replay_window_seconds:
            raise ValueError("delivery_grace_seconds must not be longer than replay_window_seconds")
        self.require_ports_apart()
        self._require_federation_whole()
        if self.authority_poll_ms >= self.lease_seconds * 1_000:
            raise ValueError("authority_poll_ms must be shorter than lease_seconds")
        return self

    def require_ports_apart(self) -> None:
        """Raise ConfigRefused where two of the ports that a process listens on are one: each
        connection would come to one of both servers, whichever the kernel chose."""
        places = {
            "grpc_port": Place(self.grpc_host, self.grpc_port),
            "https_port": Place(self.https_host, self.https_port),
        }
        if self.development_provider:
            places["development_provider_port"] = Place(
                DEVELOPMENT_PROVIDER_HOST, self.development_provider_port
            )
        for (name, place), (other, others) in combinations(places.items(), 2):
            if place.meets(others):
                raise ConfigRefused(f"set {name} and {other} to different ports; 0 is any free one")

    def _require_federation_whole(self) -> None:
        if (self.federation_anchor is None) != (self.federation_anchor_keys is None):
            raise ValueError("set federation_anchor and federation_anchor_keys together")
        if (self.federation_certificate is None) != (self.federation_certificate_key is None):
            raise ValueError("set federation_certificate and federation_certificate_key together")
        if self.federation_anchor is not None and self.federation_roots is None:
            if self.tls_certificate is not None or self.federation_certificate is not None:
                raise ValueError(
                    "federation_roots must name the authorities of tls_certificate and of"
                    " federation_certificate"
                )
            if self.client_ca is not None:
                raise ValueError("set federation_certificate and federation_roots with client_ca")

    @classmethod
    def load(cls, file: Path | None = None) -> "GatewayConfig":
        """Read the settings: environment before ``file`` before defaults.

        Without ``file``, CREDITGATE_CONFIG names it, if set. Relative paths in it start
        at the working folder. Raises ConfigRefused.
        """
        if file is None and (named := os.environ.get(CONFIG_VARIABLE)):
            file = Path(named)
        settings = [name.upper() for name in cls.model_fields]
        settings += [name.removeprefix(PREFIX) for name in (CONFIG_VARIABLE, PROFILE_VARIABLE)]
        if wrong := misspelt(os.environ, PREFIX, settings):
            lines = [f"  {each.variable} is no setting; is {each.meant} meant?" for each in wrong]
            raise ConfigRefused("\n".join(("The settings (environment) are not right:", *lines)))
        try:
            return cls(**({} if file is None else _beneath_environment(file)))
        except ValidationError as error:
            raise ConfigRefused(_mends(error, file)) from None
        except OSError as error:
            raise ConfigRefused(
                f"The configuration file {file} cannot be read ({error.strerror});"
                f" mend --config or {CONFIG_VARIABLE}."
            ) from None
        except ValueError as error:
            raise ConfigRefused(f"The configuration file {file} is no TOML: {error}") from None


def _is_guarded(url: str) -> bool:
    """Tell whether what is sent there is seen by nobody on the way."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in {"127.0.0.1", "::1", "localhost"}


def _beneath_environment(file: Path) -> dict[str, Any]:
    """Return the file's settings, without those the environment overrides."""
    overriding = {name.upper() for name, value in os.environ.items() if value}
    settings = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        key: value for key, value in settings.items() if f"{PREFIX}{key}".upper() not in overriding
    }


def _mends(error: ValidationError, file: Path | None) -> str:
    """Return one line for each faulty field, without its value."""
    lines = [
        f"  {'.'.join(map(str, fault['loc'])) or 'settings'}: {fault['msg']}"
        for fault in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    place = "environment" if file is None else f"environment and {file}"
    return "\n".join((f"The settings ({place}) are not right:", *lines))
