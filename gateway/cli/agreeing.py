"""Agreeing with use by the way, before a command asks for more."""

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli import calls
from gateway.clock import SystemClock

if TYPE_CHECKING:
    from sdk.usage_book import UsageBook


def kept_from_agreeing(book: "UsageBook", profile: Path) -> str:
    """Agree with the use in a book; return what kept it from that, "" for nothing."""
    import grpc

    from creditgate.transparency.merkle import ProofInvalid
    from sdk.refusals import explain
    from sdk.signing import SigningKey
    from sdk.tokens import TokenRefused
    from sdk.usage_agreeing import Agreeing, NotAsPromised

    credentials = calls.read_profile(profile)
    key = SigningKey.read(credentials.signing_key.read_bytes())

    async def agree(gateway: calls.Gateway) -> int:
        now = SystemClock().now
        return await Agreeing(gateway.channel, book, credentials.client_id, key, now).agree()

    try:
        calls.with_gateway(profile, agree)
    except grpc.RpcError as error:
        return explain(error).message
    except (NotAsPromised, ProofInvalid, TokenRefused) as error:
        return str(error)
    return ""
