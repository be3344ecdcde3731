"""Who is signed in on the command line: tokens beside the profile, their owner's alone."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from gateway.cli.calls import SIGNED_IN
from gateway.cli.code_flow import CodeFlow, TokenAnswer
from gateway.clock import SystemClock
from gateway.pki.files import write_private
from sdk.credentials import Credentials
from sdk.tokens import TokenRefused

# A command takes some time, and the clocks of two machines differ.
_LEFT_SECONDS: Final = 30


class SignedIn(BaseModel):
    """Tokens of a person who signed in; ``expires_at`` of the access token in UTC seconds."""

    model_config = ConfigDict(frozen=True)

    client_id: str
    access_token: str
    expires_at: int
    refresh_token: str | None

    @classmethod
    def of(cls, credentials: Credentials, answer: TokenAnswer, asked_at: int) -> "SignedIn":
        """Return what an answer that was asked for at ``asked_at`` means."""
        return cls(
            client_id=credentials.client_id,
            access_token=answer.access_token,
            expires_at=asked_at + answer.expires_in,
            refresh_token=answer.refresh_token,
        )


def file_beside(profile: Path) -> Path:
    """Return where the tokens of who signed in with ``profile`` lie."""
    return profile.with_name(SIGNED_IN)


def kept(profile: Path) -> SignedIn | None:
    """Return who is signed in with ``profile``; None for nobody, or a file of another use."""
    try:
        return SignedIn.model_validate_json(file_beside(profile).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def keep(profile: Path, signed_in: SignedIn) -> None:
    """Keep the tokens, readable by their owner alone."""
    write_private(file_beside(profile), signed_in.model_dump_json().encode() + b"\n")


def forget(profile: Path) -> None:
    """Remove the tokens, if there are any."""
    file_beside(profile).unlink(missing_ok=True)


class PersonTokens:
    """Where a command's tokens come from while somebody is signed in (`sdk.tokens`)."""

    def __init__(self, profile: Path, credentials: Credentials, signed_in: SignedIn) -> None:
        self._profile = profile
        self._credentials = credentials
        self._signed_in = signed_in

    async def token(self) -> str:
        """Return a token with life left. Raises TokenRefused where it takes a new sign-in."""
        if SystemClock().now() >= self._signed_in.expires_at - _LEFT_SECONDS:
            self._signed_in = await asyncio.to_thread(self._refreshed)
        return self._signed_in.access_token

    async def keep_fresh(self, renewed: Callable[[str], None]) -> None:
        """Renew until it cannot: then the gateway says so at the next call."""
        while True:
            left = self._signed_in.expires_at - _LEFT_SECONDS - SystemClock().now()
            await asyncio.sleep(max(1.0, left))
            try:
                renewed(await self.token())
            except TokenRefused:
                return

    async def close(self) -> None:
        """Do nothing: no connection is kept."""

    def _refreshed(self) -> SignedIn:
        refresh_token = self._signed_in.refresh_token
        if refresh_token is None:
            raise _over("it gave no refresh token")
        flow = CodeFlow(self._credentials)
        try:
            asked_at = SystemClock().now()
            answer = flow.refreshed(refresh_token)
        except TokenRefused as refused:
            if refused.error != "invalid_grant":
                raise
            raise _over(refused.description) from refused
        finally:
            flow.close()
        refreshed = SignedIn.of(self._credentials, answer, asked_at)
        if refreshed.refresh_token is None:
            refreshed = refreshed.model_copy(update={"refresh_token": refresh_token})
        keep(self._profile, refreshed)
        return refreshed


def _over(why: str) -> TokenRefused:
    return TokenRefused(
        "invalid_grant",
        f"The sign-in is over ({why.rstrip('.')}): `creditgate login` begins another,"
        " `creditgate logout` goes back to the client's own tokens.",
    )
