"""The witness's key: Ed25519, one PEM file, with a note of how much it has signed.

A store of evidence that was lost, or put back, has forgotten what the witness cosigned: it
could sign another history then. The note beside the key, durable before any cosignature is
shown, finds that out. A witness, other than a log, is pinned by nobody: its key goes out with
the region's statement, so one that forgot is begun anew under another key and name.
"""

import json
from pathlib import Path
from threading import Lock
from typing import Final, Self
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from creditgate.transparency.cosignatures import CosignerKey
from gateway.installation.home import Home
from gateway.pki.files import write_first, write_private
from gateway.transparency.keys import new_key

PATH: Final = "/witness"
"""Where a witness answers, below the issuer's URL; its name is that without the scheme."""

_SUFFIX: Final = ".signed"


class WitnessForgot(RuntimeError):
    """The store of evidence lacks what the witness's key has signed."""

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"The store of evidence lacks what {file} has cosigned: it was lost, or an older copy"
            " of it was put back. Restore its newest copy. If there is none, `creditgate witness"
            " begin` begins the witness anew, under another key, which peers learn by themselves."
        )


class WitnessKey:
    """The key this region cosigns with, and the number of its last act; any thread."""

    def __init__(self, name: str, private: Ed25519PrivateKey, file: Path, act: int) -> None:
        self._private = private
        self._file = file
        self._act = act
        self._changing = Lock()
        self.verifier = CosignerKey(name, private.public_key().public_bytes_raw())

    @classmethod
    def kept_in(cls, file: Path, issuer: str) -> Self:
        """Return the key in ``file``, which is made where there is none.

        The name follows from where the gateway's ``issuer`` was when the key was made, and
        stays. Raises OSError, and ValueError for files that cannot be read as these.
        """
        try:
            pem = file.read_bytes()
        except FileNotFoundError:
            pem = write_first(file, new_key())
        key = load_pem_private_key(pem, None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{file} holds no Ed25519 key; restore it from a copy.")  # noqa: TRY004
        parts = urlsplit(issuer)
        name = f"{parts.netloc}{parts.path.rstrip('/')}{PATH}"
        kept = write_first(file.with_suffix(_SUFFIX), _text(name, 0))
        try:
            said = json.loads(kept)
            return cls(str(said["name"]), key, file, int(said["act"]))
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"{file.with_suffix(_SUFFIX)} is damaged; restore it from a copy."
            ) from None

    def sign(self, text: bytes) -> bytes:
        """Return the signature of ``text``, 64 bytes."""
        return self._private.sign(text)

    def require_known(self, act: int) -> None:
        """Check that a store whose newest act is ``act`` has all that was shown.

        Raises WitnessForgot.
        """
        if act < self._act:
            raise WitnessForgot(self._file)

    def committed(self, act: int) -> None:
        """Note, durably, that an act is committed: what it signed may be shown from now on.
        Raises OSError."""
        with self._changing:
            if act > self._act:
                write_private(self._file.with_suffix(_SUFFIX), _text(self.verifier.name, act))
                self._act = act


def witness_key(home: Home, issuer: str) -> WitnessKey:
    """Return the witness's key of an installation; raises as `WitnessKey.kept_in`."""
    return WitnessKey.kept_in(home.log_key("witness"), issuer)


def _text(name: str, act: int) -> bytes:
    return json.dumps({"name": name, "act": act}).encode()
