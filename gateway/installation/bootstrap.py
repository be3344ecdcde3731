"""Bootstrap: from an empty folder or database to a gateway that can be administered.

Everything after it goes through the services; only the first signing key and the first
administrator cannot, since nobody could be asked for them.
"""

import logging
from dataclasses import dataclass
from typing import Final

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.clock import Clock
from gateway.config import ConfigRefused, GatewayConfig
from gateway.installation.finishing import finish_successions
from gateway.installation.home import Home
from gateway.oauth.keys import SigningKeyBook
from gateway.oauth.rotation import issue_signing_key
from gateway.oauth.signing import SigningKeys
from gateway.pki.client_keys import make_assertion_key, read_assertion_key
from gateway.pki.development import (
    LOOPBACK,
    make_ca,
    make_client_certificate,
    make_server_certificate,
    stands,
)
from gateway.pki.thumbprint import thumbprint_of_pem
from gateway.storage.connections import shortage
from gateway.storage.engines import open_for_one, reading
from gateway.storage.migrate import upgrade_all
from operators.authority import Authority
from operators.log import AuthorityLog, Draft
from operators.model import CLIENT, SCOPE_GRANT, Client, ScopeGrant
from operators.roles import scopes_of_role
from operators.sql import SqlAuthorityLog
from sdk.credentials import Credentials

ADMINISTRATOR: Final = "administrator"
_ROLE: Final = ClientRole.CLIENT_ROLE_ADMINISTRATOR
_INSTALLER: Final = "installation"
_REASON: Final = "first set-up of the installation"
_log = logging.getLogger(__name__)


class NoAdministrator(ValueError):
    """The first administrator's certificate and keys must be given, and were not."""


@dataclass(frozen=True, slots=True)
class AdministratorKeys:
    """Public keys of the first administrator: certificate (PEM) and JWK Set (JSON)."""

    certificate: bytes
    jwks: str


def bootstrap(
    config: GatewayConfig, clock: Clock, administrator: AdministratorKeys | None = None
) -> Home:
    """Make what is missing and return the installation's home.

    Brings the store's schema up to date, finishes a change of a log's key that was cut off, and warns
    where PostgreSQL allows fewer connections than this host may open; makes the development CA and a server
    certificate unless certificates are configured; makes the first key that signs
    access tokens; registers the first administrator, unless there is one: with the keys
    of ``administrator``, or with keys and profile in the home, made where they are missing, where
    the development CA certifies clients. Of those that do so at once in one home each waits for
    the one before. Raises ConfigRefused where the folder of the home cannot be made, NoAdministrator when no keys are given and it does not, or those in the
    home are of a kind that is not made here, OSError where they cannot be read, KeysChanging where a
    change of a log's key is under way for long, and what the store raises when it cannot be reached.
    """
    home = Home.at(config.home)
    _require_folder(home)
    with home.alone():
        _certify(config, home, clock.now())
        _certify_for_regions(config, home, clock.now())
    engines = open_for_one(config.database.get_secret_value(), home.root)
    try:
        upgrade_all(engines, config.database_partitions)
        with reading(engines.authority) as connection:
            if short := shortage(connection, config.workers, config.database_connections):
                _log.warning("%s", short)
        log = SqlAuthorityLog(engines.authority)
        # Not before: a migration takes turns of its own, and may take an hour, in which processes
        # of the version before are started.
        with home.alone():
            finish_successions(engines.evidence, home)
            _issue_first_key(log, SigningKeys(home.keys), clock.now())
            if not _has_administrator(log):
                keys = administrator or _made_keys(config, home, clock.now())
                _register_administrator(log, keys, clock.now())
    finally:
        engines.dispose()
    return home


def _require_folder(home: Home) -> None:
    try:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigRefused(
            "The settings are not right:\n"
            f"  home: the folder {home.root} cannot be made ({error.strerror})"
        ) from None


def _certify(config: GatewayConfig, home: Home, now: int) -> None:
    own_server = config.tls_certificate is None
    if (own_server or config.client_ca is None) and not home.ca_key.exists():
        make_ca("creditgate development CA", now).write(home.ca, home.ca_key)
    if own_server and not home.server_key.exists():
        hosts = dict.fromkeys((*LOOPBACK, config.grpc_host, config.https_host))
        certificate = make_server_certificate(home.development_ca(), now, hosts)
        certificate.write(home.server_certificate, home.server_key)


def _certify_for_regions(config: GatewayConfig, home: Home, now: int) -> None:
    if (
        config.federation_anchor is not None
        and config.federation_certificate is None
        and not home.federation_certificate_key.exists()
    ):
        certificate = make_client_certificate(home.development_ca(), "federation", now)
        certificate.write(home.federation_certificate, home.federation_certificate_key)


def _issue_first_key(log: AuthorityLog, keys: SigningKeys, now: int) -> None:
    if not SigningKeyBook.empty().advanced(log.since(0)):
        issue_signing_key(
            log, keys, algorithm="ES256", changed_by=_INSTALLER, now=now, reason=_REASON
        )


def _has_administrator(log: AuthorityLog) -> bool:
    known = Authority.empty().advanced(log.since(0)).clients.values()
    return any(client.role == _ROLE and client.removed_at is None for client in known)


def _made_keys(config: GatewayConfig, home: Home, now: int) -> AdministratorKeys:
    if config.client_ca is not None:
        raise NoAdministrator(
            "client_ca is set, so the first administrator's certificate comes from there: give"
            " its certificate (PEM) and its public keys (JWK Set)."
        )
    if (held := _held_keys(home, now)) is not None:
        return held
    certificate = make_client_certificate(home.development_ca(), ADMINISTRATOR, now)
    assertion_key = make_assertion_key()
    home.write_client(ADMINISTRATOR, certificate, assertion_key.key)
    return AdministratorKeys(certificate.certificate, assertion_key.jwks)


def _held_keys(home: Home, now: int) -> AdministratorKeys | None:
    """Return the administrator's keys that lie in the home, by which another store may know it;
    None where some are missing, or nobody can connect by them.

    Raises NoAdministrator where they are of a kind that is not made here, OSError where they cannot
    be read: they are somebody's, and not replaced.
    """
    profile = home.profile(ADMINISTRATOR)
    try:
        held = Credentials.load(profile)
        certificate, key = held.certificate.read_bytes(), held.key.read_bytes()
        jwks = read_assertion_key(held.signing_key.read_bytes()).jwks
    except FileNotFoundError:
        return None
    except ValueError:
        raise NoAdministrator(
            f"The administrator's keys in {profile.parent} were not made here, and are not replaced:"
            " give its certificate (PEM) and its public keys (JWK Set), or move the folder away."
        ) from None
    if not stands(certificate, key, home.development_ca(), now):
        return None
    return AdministratorKeys(certificate, jwks)


def _register_administrator(log: AuthorityLog, keys: AdministratorKeys, now: int) -> None:
    administrator = Client(
        client_id=ADMINISTRATOR,
        role=_ROLE,
        jwks=keys.jwks,
        certificate_thumbprints=frozenset({thumbprint_of_pem(keys.certificate)}),
    )
    grants = [
        ScopeGrant(
            grant_id=f"{ADMINISTRATOR}-{number}",
            grantee=ADMINISTRATOR,
            scope=scope,
            valid_from=now,
        )
        for number, scope in enumerate(sorted(scopes_of_role(_ROLE)), 1)
    ]
    drafts = [Draft(CLIENT, ADMINISTRATOR, 0, administrator.as_document())]
    drafts += [Draft(SCOPE_GRANT, grant.grant_id, 0, grant.as_document()) for grant in grants]
    log.append(drafts, changed_by=_INSTALLER, changed_at=now, reason=_REASON)
