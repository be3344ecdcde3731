"""Where an installation keeps its files."""

import errno
import fcntl
import json
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.pki.development import Issued, read_issued
from gateway.pki.files import write_private

_LOCK: Final = ".setup.lock"
_NO_LOCK: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}
)


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one installation; ``root`` is absolute."""

    root: Path

    @classmethod
    def at(cls, folder: Path) -> "Home":
        """Return the home in ``folder``, which need not exist yet."""
        return cls(folder.absolute())

    @property
    def keys(self) -> Path:
        """Folder of the private keys that sign access tokens."""
        return self.root / "keys"

    @property
    def dpop_nonces(self) -> Path:
        """Key of the nonces for proofs, which all processes of the installation share."""
        return self.keys / "dpop-nonces.key"

    @property
    def salts(self) -> Path:
        """Secret of the salts of the disclosure log and map, which all processes share."""
        return self.keys / "salts.key"

    def log_key(self, log: str) -> Path:
        """Private key that signs the checkpoints of a log (PEM), which all processes share."""
        return self.keys / f"log-{log}.pem"

    @property
    def ca(self) -> Path:
        """Certificate of the development CA (PEM)."""
        return self.root / "pki" / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Private key of the development CA (PEM)."""
        return self.root / "pki" / "ca.key"

    @property
    def server_certificate(self) -> Path:
        """The server's certificate from the development CA (PEM)."""
        return self.root / "pki" / "server.pem"

    @property
    def server_key(self) -> Path:
        """Private key of `server_certificate` (PEM)."""
        return self.root / "pki" / "server.key"

    @property
    def federation_key(self) -> Path:
        """Private key that signs this region's statements of itself (PEM)."""
        return self.keys / "federation.pem"

    @property
    def federation_assertion_key(self) -> Path:
        """Private key of this region's client assertions in other regions (PEM)."""
        return self.keys / "federation-client.pem"

    @property
    def federation_certificate(self) -> Path:
        """The certificate shown to other regions, from the development CA (PEM)."""
        return self.root / "pki" / "federation.pem"

    @property
    def federation_certificate_key(self) -> Path:
        """Private key of `federation_certificate` (PEM)."""
        return self.root / "pki" / "federation.key"

    @property
    def served(self) -> Path:
        """What a serving gateway writes down for programs beside it (JSON)."""
        return self.root / "serve.json"

    def profile(self, client_id: str) -> Path:
        """Profile of a client whose keys lie here (JSON), beside its keys."""
        return self.root / "clients" / client_id / "profile.json"

    @contextmanager
    def alone(self) -> Generator[None]:
        """Be the only one who sets this home up, once those have ended who were before.

        Who may not write here sets nothing up, and is not kept from serving, nor is who has a file
        system without locks. Raises OSError.
        """
        with ExitStack() as held:
            try:
                self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
                descriptor = os.open(self.root / _LOCK, os.O_WRONLY | os.O_CREAT, 0o600)
                lock = held.enter_context(os.fdopen(descriptor, "wb"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCK:
                    raise
            yield

    def development_ca(self) -> Issued:
        """Return the development CA. Raises OSError when there is none."""
        return read_issued(self.ca, self.ca_key)

    def write_client(self, client_id: str, certificate: Issued, signing_key: bytes) -> None:
        """Keep a client's keys here, with a profile that `point_profiles_at` completes."""
        profile = self.profile(client_id)
        certificate.write(profile.with_name("certificate.pem"), profile.with_name("key.pem"))
        write_private(profile.with_name("signing.pem"), signing_key)
        _write_json(
            profile,
            {
                "client_id": client_id,
                "certificate": "certificate.pem",
                "key": "key.pem",
                "signing_key": "signing.pem",
                "ca": str(self.ca),
                "grpc": "127.0.0.1:0",
                "issuer": "https://127.0.0.1:0",
            },
        )

    def point_profiles_at(self, grpc: str, issuer: str, ca: Path) -> None:
        """Tell every client whose keys lie here where the gateway is now."""
        for profile in sorted(self.root.glob("clients/*/profile.json")):
            written = json.loads(profile.read_bytes())
            addressed = written | {"grpc": grpc, "issuer": issuer, "ca": str(ca)}
            if addressed != written:
                _write_json(profile, addressed)


def _write_json(path: Path, document: dict[str, object]) -> None:
    write_private(path, json.dumps(document, ensure_ascii=False, indent=2).encode() + b"\n")
