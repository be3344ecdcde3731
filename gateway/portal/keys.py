"""Keys and terms: the keys of clients and their age; until when licences and scopes stand."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from starlette.responses import Response

from gateway.portal.key_ages import HeldKey, held_keys
from gateway.portal.visit import Visit
from operators.log import AuthorityLog, Change
from operators.model import CLIENT, Client, Licence, ScopeGrant

_DAY: Final = 86_400
_SOON_SECONDS: Final = 30 * _DAY
_MOST_CLIENTS: Final = 50
_VERSIONS_AT_ONCE: Final = 500


class Key(NamedTuple):
    """A key in words; ``due`` is "", "soon" or "late"."""

    certificate: bool
    thumbprint: str
    kid: str
    algorithm: str
    since: str
    age: str
    replace: str
    due: str


class Term(NamedTuple):
    """Until when something stands: ``until`` is "" without end; ``due`` as in `Key`."""

    name: str
    until: str
    due: str


async def show(visit: Visit) -> Response:
    """Show the keys of the operator's clients, its licences and its scopes."""
    authority = visit.parts.view().authority
    operator_id = visit.operator.operator_id
    clients = sorted(
        (
            client
            for client in authority.clients.values()
            if client.operator_id == operator_id and client.removed_at is None
        ),
        key=lambda client: client.client_id,
    )
    held = await visit.read(_held, visit.parts.log, clients[:_MOST_CLIENTS])
    return visit.page(
        "keys.html",
        tab="/keys",
        clients=[
            (client, [_key(visit, key) for key in keys])
            for client, keys in zip(clients, held, strict=False)
        ],
        more=max(len(clients) - _MOST_CLIENTS, 0),
        licences=[
            _licence(visit, licence)
            for licence in authority.licences_of.get(operator_id, ())
            if licence.in_force(visit.now)
        ],
        grants=[
            _grant(visit, grant)
            for grant in sorted(authority.grants_of.get(operator_id, ()), key=_scope)
            if grant.in_force(visit.now)
        ],
    )


def _held(log: AuthorityLog, clients: Sequence[Client]) -> list[list[HeldKey]]:
    """Return the keys of each client. Blocks."""
    return [held_keys(client, _versions(log, client.client_id)) for client in clients]


def _versions(log: AuthorityLog, client_id: str) -> list[Change]:
    versions: list[Change] = []
    while True:
        after = versions[-1].sequence if versions else 0
        page = log.history(kind=CLIENT, id=client_id, after=after, limit=_VERSIONS_AT_ONCE)
        versions += page
        if len(page) < _VERSIONS_AT_ONCE:
            return versions


def _key(visit: Visit, key: HeldKey) -> Key:
    days = max(visit.now - key.since, 0) // _DAY
    return Key(
        key.certificate,
        key.thumbprint,
        key.kid,
        key.algorithm,
        visit.day(key.since),
        visit.say(f"已用 {days} 天", f"{days} day{'' if days == 1 else 's'} old"),
        visit.day(key.replace_at),
        _due(visit, key.replace_at),
    )


def _licence(visit: Visit, licence: Licence) -> Term:
    return Term(licence.number, visit.day(licence.valid_until), _due(visit, licence.valid_until))


def _grant(visit: Visit, grant: ScopeGrant) -> Term:
    if grant.valid_until is None:
        return Term(grant.scope, "", "")
    return Term(grant.scope, visit.day(grant.valid_until), _due(visit, grant.valid_until))


def _due(visit: Visit, at: int) -> str:
    if visit.now >= at:
        return "late"
    return "soon" if at - visit.now < _SOON_SECONDS else ""


def _scope(grant: ScopeGrant) -> tuple[str, str]:
    return grant.scope, grant.grant_id
