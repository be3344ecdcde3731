"""Whether a change of a client widens what may be done through it. Pure.

Judged alike whoever makes the change: an administrator, or the client itself (RFC 7592).
"""

import json

from operators.model import Client


def widens_client(before: Client | None, after: Client) -> bool:
    """Tell whether ``after`` lets somebody do more than ``before``; None: it is new."""
    if after.removed_at is not None:
        return False
    if before is None:
        # It acts with its operator's grants at once; others hold nothing of their own yet.
        return after.acts_for_operator
    # Who holds a new key holds the client's authority.
    return (
        not _keys(after) <= _keys(before)
        or not after.certificate_thumbprints <= before.certificate_thumbprints
        or _unkeyed(after) != _unkeyed(before)
    )


def _keys(client: Client) -> frozenset[str]:
    keys: list[dict[str, object]] = json.loads(client.jwks)["keys"]
    return frozenset(json.dumps(key, sort_keys=True) for key in keys)


def _unkeyed(client: Client) -> Client:
    return client.model_copy(
        update={
            "version": 0,
            "changed_at": 0,
            "jwks": "",
            "certificate_thumbprints": frozenset[str](),
        }
    )
