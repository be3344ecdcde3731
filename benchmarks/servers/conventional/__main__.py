"""``python -m benchmarks.servers.conventional FOLDER CERTIFICATE KEY CLIENT_CA``."""

import json
import socket
import ssl
import sys
from pathlib import Path

import jwt
import uvicorn

from benchmarks.servers.conventional.app import build_app, open_engine


def _main(folder: Path, certificate: str, key: str, client_ca: str) -> None:
    signing_key = jwt.PyJWK(json.loads((folder / "jwk.json").read_text(encoding="utf-8")), "ES256")
    app = build_app(open_engine(folder / "conventional.db"), signing_key)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ca_certs=client_ca,
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    print(f"ready localhost:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    _main(Path(sys.argv[1]), *sys.argv[2:5])
