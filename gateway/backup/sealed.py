"""Private files of an installation in a copy: encrypted to a key that lies elsewhere.

Each is one JSON Web Encryption (RFC 7516, compact), a line of a file: ECDH-ES+A256KW and A256GCM
(RFC 7518) to the public key given, whose private key is needed to restore, and is no part of any
installation.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, import_key

from gateway.backup.manifest import BackupUnusable
from gateway.installation.home import Home

NAME: Final = "keys.jwe"
_HEADER: Final = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM"}
_MOST_BYTES: Final = 32_768
_MOST_FILES: Final = 1_000
_FOLDERS: Final = ("keys", "pki", "clients")
_NEVER: Final = ("*.signed", "log-witness*", ".*")
"""What a copy never holds: what was signed since is not in it, and must not seem known. A witness
is pinned by nobody, so a restored installation makes itself another."""


def read_key(file: Path) -> ECKey:
    """Return the EC key (PEM), public or private, in a file. Raises BackupUnusable, OSError."""
    try:
        key = import_key(file.read_bytes(), "EC")
    except (JoseError, ValueError):
        key = None
    if not isinstance(key, ECKey):
        raise BackupUnusable(f"{file} holds no key on an elliptic curve (PEM); P-256 will do.")
    return key


def sealed_files(home: Home, recipient: ECKey) -> bytes:
    """Return the private files of an installation, encrypted; a line each.

    Raises BackupUnusable where there are too many or one is too large, and OSError.
    """
    lines: list[str] = []
    for file in _private(home):
        content = file.read_bytes()
        if len(content) > _MOST_BYTES or len(lines) >= _MOST_FILES:
            raise BackupUnusable(f"{file} is too large for a key, or there are too many files.")
        name = file.relative_to(home.root).as_posix()
        text = json.dumps({"name": name, "content": b64encode(content).decode()})
        lines.append(jwe.encrypt_compact(_HEADER, text.encode(), recipient))
    return "".join(f"{line}\n" for line in lines).encode()


def opened_files(file: Path, key: ECKey) -> dict[PurePosixPath, bytes]:
    """Return the private files in a copy by their path in the home.

    Raises BackupUnusable where they are not encrypted to ``key`` or damaged, and OSError.
    """
    found: dict[PurePosixPath, bytes] = {}
    for line in file.read_text(encoding="ascii").splitlines():
        try:
            opened = json.loads(jwe.decrypt_compact(line, key).plaintext or b"")
            path, content = PurePosixPath(opened["name"]), b64decode(opened["content"])
        except (JoseError, ValueError, KeyError, TypeError):
            raise BackupUnusable(f"{file} is not encrypted to this key, or is damaged.") from None
        if path.is_absolute() or ".." in path.parts or path.parts[0] not in _FOLDERS:
            raise BackupUnusable(f"{file} holds a file that is none of an installation.")
        found[path] = content
    return found


def _private(home: Home) -> Iterator[Path]:
    for folder in _FOLDERS:
        for file in sorted((home.root / folder).rglob("*")):
            if file.is_file() and not any(file.match(never) for never in _NEVER):
                yield file
