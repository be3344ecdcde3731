"""The line between who waits for work in the background and who does it.

By it whoever waits lets the work begin sooner, and hears that some was done. What is said may
be lost or come twice: work looks for news by itself, and whoever waits looks how far it has come.
"""

import asyncio
import contextlib
import socket
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

_MOST_BYTES: Final = 64
_AT_ONCE: Final = 100


class Topic(Protocol):
    """What something is said about: some work, by its name."""

    @property
    def name(self) -> str:
        """A short name, told from all others."""
        ...


class Line(Protocol):
    """One end of a line; one event loop's own."""

    def tell(self, topic: Topic) -> None:
        """Say something about a topic to the other end."""
        ...

    def listen(self, topic: Topic, heard: Callable[[], object]) -> None:
        """Let ``heard`` be called whenever the other end says something about a topic."""
        ...


class _Listening:
    """Who listens at an end, by the name of the topic."""

    def __init__(self) -> None:
        self._heard: dict[str, list[Callable[[], object]]] = defaultdict(list)

    def listen(self, topic: Topic, heard: Callable[[], object]) -> None:
        self._heard[topic.name].append(heard)

    def hear(self, name: str) -> None:
        for heard in self._heard.get(name, ()):
            heard()


class Within(_Listening):
    """An end of a line within one process; see `line_within`."""

    def __init__(self) -> None:
        super().__init__()
        self.other = self

    def tell(self, topic: Topic) -> None:
        """See the port."""
        self.other.hear(topic.name)


def line_within() -> tuple[Line, Line]:
    """Return both ends of a line within one process."""
    one, other = Within(), Within()
    one.other, other.other = other, one
    return one, other


class Between(_Listening):
    """An end of lines to other processes: those of a keeper, one to each that serves and to the
    supervisor, or one of these.

    ``ends`` are sockets of datagrams. From `open` to `close` they are read; they stay the
    caller's.
    """

    def __init__(self, ends: Sequence[socket.socket]) -> None:
        super().__init__()
        self._ends = ends

    def open(self) -> None:
        """Begin to hear; on the event loop."""
        for end in self._ends:
            end.setblocking(False)
            asyncio.get_running_loop().add_reader(end, self._read, end)

    def close(self) -> None:
        """Hear no more."""
        for end in self._ends:
            asyncio.get_running_loop().remove_reader(end)

    def tell(self, topic: Topic) -> None:
        """See the port."""
        for end in self._ends:
            # A full line was not heard for long: more would tell nothing more.
            with contextlib.suppress(OSError):
                end.send(topic.name.encode())

    def _read(self, end: socket.socket) -> None:
        said: set[bytes] = set()
        with contextlib.suppress(OSError):
            for _ in range(_AT_ONCE):
                said.add(end.recv(_MOST_BYTES))
        for name in said:
            self.hear(name.decode())
