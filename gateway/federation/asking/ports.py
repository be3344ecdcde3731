"""What asking takes of the rest: trust, credentials, witnesses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from creditgate.transparency.note import Checkpoint
from gateway.federation.trust.book import Region


class OwnRegion(Protocol):
    """This region, as others know it."""

    @property
    def entity_id(self) -> str:
        """Its entity identifier."""
        ...

    @property
    def client_id(self) -> str:
        """The id it authenticates by in every other region."""
        ...

    @property
    def certificate(self) -> Path:
        """The certificate that its connections show (PEM)."""
        ...

    @property
    def key(self) -> Path:
        """Private key of the certificate (PEM)."""
        ...

    def assertion(self, issuer: str) -> str:
        """Return a client assertion (RFC 7523) for the authorisation server ``issuer``."""
        ...


class Credentials(Protocol):
    """The licence credentials of this region's operators."""

    def of(self, operator_id: str, licence: str) -> str:
        """Return the credential of a licence, a JWT that stands.

        Raises Refused LICENCE_CREDENTIAL_INVALID where there is none now.
        """
        ...


class Witnesses(Protocol):
    """What regions that watch one another make of a checkpoint; see
    `gateway.federation.witness.belief.Belief`."""

    def require_trusted(self, region: Region) -> object:
        """Raise Refused REGION_NOT_TRUSTED for a region whose log signed two histories."""
        ...

    async def require_believed(
        self,
        region: Region,
        proved: Checkpoint,
        cosigned: str,
        consistency_proof: Sequence[bytes],
        note: str = "",
    ) -> None:
        """Check that enough witnesses stand behind the checkpoint an answer is proved by.

        ``cosigned`` is a note with their cosignatures, of ``proved`` itself or of an earlier
        state that ``consistency_proof`` leads on from; ``note`` the signed note of ``proved``.
        Raises ProofInvalid, and Refused REGION_NOT_TRUSTED, TEMPORARILY_UNAVAILABLE where they
        did not cosign it yet.
        """
        ...
