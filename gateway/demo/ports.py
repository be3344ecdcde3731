"""Ports of the loopback address for what must know its own before it starts."""

import errno
import itertools
import os
import random
import socket
from typing import Final

_HOST: Final = "127.0.0.1"
# Below what systems give outgoing connections and whoever asks for any port (Linux: from 32768,
# IANA: from 49152), so that nobody is given it between this look and its use.
_FIRST: Final = 16_384
_COUNT: Final = 16_384
_TRIES: Final = 100
# One after the other, so that nobody in this process is given it either.
_LOOKED_AT: Final = itertools.count(random.randrange(_COUNT))  # noqa: S311  # no secret


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on and the system gives nobody unasked.

    Raises OSError where a hundred in turn are taken.
    """
    for looked_at in itertools.islice(_LOOKED_AT, _TRIES):
        with socket.socket() as free:
            try:
                free.bind((_HOST, _FIRST + looked_at % _COUNT))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return int(free.getsockname()[1])
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
