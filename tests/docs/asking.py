"""Have a command run by the process of `tests.docs.warm`: ``asking.py SOCKET ARGUMENTS``.

Standard library only, and little of it: to start it is what running a command costs.
"""

import json
import os
import socket
import sys
from pathlib import Path


def main(place: str, *arguments: str) -> int:
    """Return the command's exit status; 1 when it ended without one."""
    told = {"folder": str(Path.cwd()), "environment": dict(os.environ), "arguments": arguments}
    with socket.socket(socket.AF_UNIX) as asked:
        asked.connect(place)
        socket.send_fds(asked, [b"o"], [0, 1, 2])
        asked.sendall(json.dumps(told).encode() + b"\n")
        status = asked.recv(1)
    return status[0] if status else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
