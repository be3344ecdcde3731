"""What a copy says of itself: one JSON document beside its files."""

import hashlib
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

NAME: Final = "backup.json"
_MOST_BYTES: Final = 1 << 20
_CHUNK: Final = 1 << 20


class BackupUnusable(ValueError):
    """What is given as a copy is none, or is damaged; the message says where."""


class CopiedFile(BaseModel):
    """One file of a copy: its size in bytes, and its SHA-256 in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @classmethod
    def of(cls, file: Path) -> "CopiedFile":
        """Return what a file is. Raises OSError."""
        digest, size = hashlib.sha256(), 0
        with file.open("rb") as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        return cls(size=size, sha256=digest.hexdigest())


class CopiedLog(BaseModel):
    """Where a log stood at the instant of a copy: its origin, and its newest checkpoint's size
    and root (hex)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: str
    size: Annotated[int, Field(ge=0)]
    root: str


class Manifest(BaseModel):
    """A copy: the instant it is of (seconds, UTC), the version that made it, its files by name,
    and where the logs stood, by name; none of a store that the database's own tools copy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    taken_at: Annotated[int, Field(ge=0)]
    version: str
    files: dict[str, CopiedFile]
    logs: dict[str, CopiedLog]

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Return what the copy in ``folder`` says, its files compared with it.

        Raises BackupUnusable, and OSError.
        """
        try:
            with (folder / NAME).open("rb") as file:
                manifest = cls.model_validate_json(file.read(_MOST_BYTES))
        except FileNotFoundError:
            raise BackupUnusable(f"{folder} holds no copy: {NAME} is missing.") from None
        except ValidationError:
            raise BackupUnusable(f"{folder / NAME} is damaged, or of a later version.") from None
        for name, copied in manifest.files.items():
            if not (folder / name).is_file() or CopiedFile.of(folder / name) != copied:
                raise BackupUnusable(f"{folder / name} is missing or damaged: use another copy.")
        return manifest
