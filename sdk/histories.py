"""Split views: whether two states that a log has signed are of one history.

A log that shows one history to some and another to others signs checkpoints that no consistency
proof joins. Whoever keeps checkpoints (answers with a proof hold one) compares them with those of
others and with what the log serves now. Two that contradict each other are, with one proof, the
evidence: it needs nobody's word, only the log's key. Source: RFC 9162 sections 2.1.4 and 11.3.
"""

import ssl
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import httpx

from creditgate.transparency.merkle import HASH_BYTES, ProofInvalid, verify_consistency
from creditgate.transparency.note import MOST_NOTE_BYTES, VerifierKey, open_checkpoint
from creditgate.transparency.tiles import TILE_LEVELS, TILE_WIDTH, Tile, tile_path
from creditgate.transparency.tree import Subtrees
from creditgate.v1.credit_record_service_pb2 import (
    BatchGetSubjectRecordsResponse,
    GetSubjectRecordsResponse,
)
from sdk.answers import KeptAnswer
from sdk.proxies import by_proxy

_TIMEOUT_SECONDS: Final = 10


class HistoryUnknown(Exception):
    """Whether two states are of one history cannot be told; the message says why."""


@dataclass(frozen=True, slots=True)
class SplitView:
    """The evidence that a log has signed two histories.

    ``first`` and ``second`` are signed checkpoints, the first not the longer. ``root`` is what
    the tree of the second had for a root when it was as long as the first, which ``proof``
    (RFC 9162 section 2.1.4) shows; the first has another.
    """

    first: str
    second: str
    root: bytes
    proof: tuple[bytes, ...]

    def require(self, key: VerifierKey) -> None:
        """Check that this is evidence against the log of ``key``. Raises ProofInvalid."""
        first, second = open_checkpoint(self.first, key), open_checkpoint(self.second, key)
        verify_consistency(first.size, second.size, self.root, second.root, self.proof)
        if self.root == first.root:
            raise ProofInvalid("both checkpoints are of one history")

    def as_json(self) -> dict[str, object]:
        """Return it as it is kept; hashes in base64."""
        return {
            "first": self.first,
            "second": self.second,
            "root": _text(self.root),
            "proof": [_text(each) for each in self.proof],
        }

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read it as it is kept. Raises ValueError."""
        try:
            return cls(
                str(kept["first"]),
                str(kept["second"]),
                b64decode(kept["root"], validate=True),
                tuple(b64decode(each, validate=True) for each in kept["proof"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError("this is no evidence of a split view") from error


class PublishedLog:
    """A log as it is served (C2SP tlog-tiles), at ``url``: "{issuer}/log/disclosure".

    Nothing of it is believed but what its signed checkpoint commits to, so the connection
    needs no protection; ``tls`` is for servers whose certificates the system does not know.
    Calls block, and raise HistoryUnknown where the log cannot be read.
    """

    def __init__(self, url: str, key: VerifierKey, tls: ssl.SSLContext | None = None) -> None:
        self._url = url.rstrip("/") + "/"
        self._http = httpx.Client(
            verify=ssl.create_default_context() if tls is None else tls,
            timeout=_TIMEOUT_SECONDS,
            trust_env=by_proxy(url),
        )
        self._trees = Subtrees()
        try:
            self.note = self._get("checkpoint", MOST_NOTE_BYTES).decode("utf-8")
            self.checkpoint = open_checkpoint(self.note, key)
            if self.root(self.checkpoint.size) != self.checkpoint.root:
                raise HistoryUnknown(f"The tiles at {url} are not those of its checkpoint.")
        except (ProofInvalid, UnicodeDecodeError) as error:
            raise HistoryUnknown(f"{url} serves no checkpoint of this log: {error}.") from None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def root(self, size: int) -> bytes:
        """Return the root the log had when it was of ``size`` entries."""
        return self._trees.root(0, size, self._tile)

    def consistency(self, first: int, second: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of ``second`` entries begins with that of ``first``."""
        return tuple(self._trees.consistency(first, second, self._tile))

    def _tile(self, level: int, number: int) -> bytes:
        hashes = self.checkpoint.size >> (TILE_LEVELS * level)
        width = min(TILE_WIDTH, hashes - number * TILE_WIDTH)
        tile = self._get(tile_path(Tile(level, number, width)), TILE_WIDTH * HASH_BYTES)
        if len(tile) != width * HASH_BYTES:
            raise HistoryUnknown(f"A tile at {self._url} is not as long as it must be.")
        return tile

    def _get(self, path: str, most: int) -> bytes:
        content = b""
        try:
            with self._http.stream("GET", self._url + path) as answer:
                for part in answer.raise_for_status().iter_bytes():
                    content += part
                    if len(content) > most:
                        raise HistoryUnknown(f"{self._url + path} is longer than it can be.")
        except httpx.HTTPError as error:
            raise HistoryUnknown(
                f"{self._url + path} cannot be read ({type(error).__name__})."
            ) from error
        return content


def kept_checkpoint(file: Path, key: VerifierKey) -> str:
    """Return the signed checkpoint in a file: alone, or of an answer as `KeptAnswer` keeps it,
    which is verified first. Raises ProofInvalid, OSError."""
    kept = file.read_bytes()
    try:
        note = kept.decode("utf-8")
        open_checkpoint(note, key)
    except (UnicodeDecodeError, ProofInvalid):
        return _answered(KeptAnswer.read(file), key)
    return note


def compared(
    first: str, second: str, key: VerifierKey, log: PublishedLog | None = None
) -> Sequence[SplitView]:
    """Return the evidence that two signed checkpoints are not of one history, none where they
    are.

    With ``log`` each is held against what the log serves, too; without, only those of one size
    can be compared. Raises ProofInvalid where one is not of the log of ``key``, HistoryUnknown
    where it cannot be told.
    """
    shorter, longer = sorted((first, second), key=lambda note: open_checkpoint(note, key).size)
    one_size = open_checkpoint(shorter, key).size == open_checkpoint(longer, key).size
    if one_size and (found := _contradictions([shorter], longer, key)):
        return found
    if log is None:
        if one_size:
            return []
        raise HistoryUnknown("The checkpoints are of two sizes: name where the log is served.")
    if open_checkpoint(longer, key).size > log.checkpoint.size:
        raise HistoryUnknown(
            f"The log as it is served has {log.checkpoint.size} entries, fewer than a checkpoint"
            " it has signed: it was set back, or its source lags behind. Keep both and ask again."
        )
    return _contradictions([shorter, longer], log.note, key, log)


def _contradictions(
    notes: Sequence[str], against: str, key: VerifierKey, log: PublishedLog | None = None
) -> list[SplitView]:
    """Return the evidence that ``notes`` contradict the checkpoint ``against``, which is of
    their size or that of ``log``."""
    found: list[SplitView] = []
    latest = open_checkpoint(against, key)
    for note in notes:
        checkpoint = open_checkpoint(note, key)
        root, proof = latest.root, ()
        # Every tree begins with the empty one.
        if log is not None and 0 < checkpoint.size < latest.size:
            root = log.root(checkpoint.size)
            proof = log.consistency(checkpoint.size, latest.size)
        if checkpoint.size and root != checkpoint.root:
            split = SplitView(note, against, root, proof)
            split.require(key)
            found.append(split)
    return found


def _answered(answer: KeptAnswer, key: VerifierKey) -> str:
    verified = answer.verified(key).checkpoint
    for kind in (GetSubjectRecordsResponse, BatchGetSubjectRecordsResponse):
        note = kind.FromString(answer.parts[-1]).proof.checkpoint
        if note and open_checkpoint(note, key) == verified:
            return note
    raise ProofInvalid("the answer has no proof")


def _text(data: bytes) -> str:
    return b64encode(data).decode()
