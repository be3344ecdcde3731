"""Keyholders: administrators without whom nobody could be let in again. Pure.

A keyholder is an administrator's client, not removed, that holds `KEYS` in force: with
them it can register another administrator and grant it whatever is missing.
"""

from collections.abc import Collection, Iterator
from typing import Final

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.administration.journal import draft
from gateway.administration.presence import conflict
from operators.authority import Authority
from operators.log import Draft
from operators.model import CLIENT, SCOPE_GRANT, Client, ScopeGrant

KEYS: Final = ("scopes:grant", "clients:register")

_Part = Client | ScopeGrant


def require_keyholder(authority: Authority, gone: Collection[_Part], now: int) -> list[Draft]:
    """Return what to write beside the change that ends ``gone``, so that a keyholder stays.

    That is a keyholder that stays and its grants of `KEYS`, as they are; nothing where
    what goes makes no keyholder. The log checks the versions of what is written: of two processes
    that end each other's last keyholder, the second fails.

    Raises Refused STATE_CONFLICT when the last would go. A keyholder whose grants end
    some day does not stand in for one whose grants do not.
    """
    stays: dict[_Part, None] = {}
    for lasting in (False, True):
        before = list(_keyholders(authority, (), now, lasting=lasting))
        after = list(_keyholders(authority, gone, now, lasting=lasting))
        if before and not after:
            raise conflict(
                "Nobody could administer the gateway any more: first give another"
                f" administrator's client {' and '.join(KEYS)}, without an end."
            )
        if after != before:
            stays |= dict.fromkeys(after[0])
    return [
        draft(CLIENT, part.client_id, part)
        if isinstance(part, Client)
        else draft(SCOPE_GRANT, part.grant_id, part)
        for part in stays
    ]


def _keyholders(
    authority: Authority, gone: Collection[_Part], now: int, *, lasting: bool
) -> Iterator[tuple[_Part, ...]]:
    """Yield each keyholder with its grants; ``lasting`` asks for grants without an end."""
    for client in authority.clients.values():
        if (
            client.role != ClientRole.CLIENT_ROLE_ADMINISTRATOR
            or client.removed_at is not None
            or client in gone
        ):
            continue
        held = {
            grant.scope: grant
            for grant in authority.grants_of.get(client.grantee, ())
            if grant.in_force(now)
            and grant not in gone
            and not (lasting and grant.valid_until is not None)
        }
        if held.keys() >= set(KEYS):
            yield (client, *(held[scope] for scope in KEYS))
