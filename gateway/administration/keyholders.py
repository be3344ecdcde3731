"""Keyholders: administrators without whom nobody could be let in again. Pure.

A keyholder is an administrator's client, not removed, that holds `KEYS` in force: with
them it can register another administrator and grant it whatever is missing.
"""

from collections.abc import Collection
from typing import Final

from creditgate.v1.operator_service_pb2 import ClientRole
from gateway.administration.presence import conflict
from operators.authority import Authority
from operators.model import Client, ScopeGrant

KEYS: Final = ("scopes:grant", "clients:register")

_Part = Client | ScopeGrant


def require_keyholder(authority: Authority, gone: Collection[_Part], now: int) -> None:
    """Raise Refused STATE_CONFLICT when the last keyholder would go with ``gone``.

    A keyholder whose grants end some day does not stand in for one whose grants do not.
    """
    for lasting in (False, True):
        before = _has_keyholder(authority, (), now, lasting=lasting)
        if before and not _has_keyholder(authority, gone, now, lasting=lasting):
            raise conflict(
                "Nobody could administer the gateway any more: first give another"
                f" administrator's client {' and '.join(KEYS)}, without an end."
            )


def _has_keyholder(
    authority: Authority, gone: Collection[_Part], now: int, *, lasting: bool
) -> bool:
    """Tell whether there is a keyholder; ``lasting`` asks for grants without an end."""
    for client in authority.clients.values():
        if (
            client.role != ClientRole.CLIENT_ROLE_ADMINISTRATOR
            or client.removed_at is not None
            or client in gone
        ):
            continue
        held = {
            grant.scope
            for grant in authority.grants_of.get(client.grantee, ())
            if grant.in_force(now)
            and grant not in gone
            and not (lasting and grant.valid_until is not None)
        }
        if held >= set(KEYS):
            return True
    return False
