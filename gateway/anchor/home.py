"""Where an anchor keeps its files: its register, the journal of changes, its keys."""

import fcntl
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from gateway.anchor.register import Register
from gateway.federation.trust.entity_key import EntityKey
from gateway.pki.files import write_private


class NoAnchor(RuntimeError):
    """The folder holds no anchor, or what it holds cannot be read; the message has the mend."""


@dataclass(frozen=True, slots=True)
class AnchorHome:
    """The folder of one anchor; ``root`` is absolute."""

    root: Path

    @classmethod
    def at(cls, folder: Path) -> "AnchorHome":
        """Return the home in ``folder``, which need not exist yet."""
        return cls(folder.absolute())

    @property
    def register_file(self) -> Path:
        """The register (JSON)."""
        return self.root / "register.json"

    @property
    def journal(self) -> Path:
        """One line of JSON for each change: when, who, what, why."""
        return self.root / "journal.jsonl"

    @property
    def key_file(self) -> Path:
        """Private key that signs statements and news (PEM)."""
        return self.root / "keys" / "federation.pem"

    @property
    def ca(self) -> Path:
        """Certificate of the anchor's own development CA (PEM)."""
        return self.root / "pki" / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """Private key of `ca` (PEM)."""
        return self.root / "pki" / "ca.key"

    @property
    def certificate(self) -> Path:
        """The server's certificate from `ca` (PEM)."""
        return self.root / "pki" / "server.pem"

    @property
    def certificate_key(self) -> Path:
        """Private key of `certificate` (PEM)."""
        return self.root / "pki" / "server.key"

    def key(self) -> EntityKey:
        """Return the anchor's key as it stands. Raises NoAnchor where there is none, OSError."""
        if not self.key_file.exists():
            raise self._missing()
        try:
            return EntityKey.kept_in(self.key_file)
        except ValueError as error:
            raise NoAnchor(f"{self.key_file} holds no key; restore it from a copy.") from error

    def register(self) -> Register:
        """Return the register as it stands. Raises NoAnchor, OSError."""
        try:
            return Register.model_validate_json(self.register_file.read_bytes())
        except FileNotFoundError:
            raise self._missing() from None
        except ValidationError as error:
            raise NoAnchor(
                f"{self.register_file} is no register of this release; restore it from a copy."
            ) from error

    def begin(self, register: Register, *, by: str, now: int) -> None:
        """Make the key and the register of a new anchor.

        Raises NoAnchor where there is one already, OSError.
        """
        with self._alone():
            if self.register_file.exists():
                raise NoAnchor(f"There is an anchor in {self.root} already.")
            EntityKey.kept_in(self.key_file)
            self._write(register, {"change": "init", "by": by, "at": now})

    def change(
        self,
        changed: Callable[[Register], Register],
        *,
        what: str,
        about: str,
        by: str,
        why: str,
        now: int,
    ) -> Register:
        """Change the register and return it as it stands then, on disk before this returns.

        Of programs that change it at once, one goes after the other. Raises NoAnchor, OSError,
        and what ``changed`` raises.
        """
        with self._alone():
            register = changed(self.register())
            line = {"change": what, "region": about, "by": by, "why": why, "at": now}
            self._write(register, line)
        return register

    def _write(self, register: Register, line: Mapping[str, object]) -> None:
        # The journal first: a crash between leaves a line too many, never a change untold.
        descriptor = os.open(self.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "ab") as journal:
            entry = {**line, "number": register.number}
            journal.write(json.dumps(entry, ensure_ascii=False, sort_keys=True).encode() + b"\n")
            journal.flush()
            os.fsync(journal.fileno())
        write_private(self.register_file, register.as_bytes())

    @contextmanager
    def _alone(self) -> Generator[None]:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.root / "register.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _missing(self) -> NoAnchor:
        return NoAnchor(f"There is no anchor in {self.root}; `creditgate anchor init` makes one.")
