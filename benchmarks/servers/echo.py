"""A bare grpc.aio server: mutual TLS, one generic handler, one constant answer.

``python -m benchmarks.servers.echo CERTIFICATE KEY CLIENT_CA BYTES``. It does nothing
of what the gateway is for, so it is the most a gateway on this library could reach.
"""

import asyncio
import signal
import sys
from pathlib import Path

import grpc
import uvloop


async def _main(tls: grpc.ServerCredentials, size: int) -> None:
    answer = bytes(size)

    async def answer_call(_request: bytes, _context: object) -> bytes:
        return answer

    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(answer_call)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "creditgate.v1.CreditRecordService", {"GetSubjectRecords": method}
            ),
        )
    )
    port = server.add_secure_port("127.0.0.1:0", tls)
    await server.start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    print(f"ready localhost:{port}", flush=True)
    await stopping.wait()
    await server.stop(0)


def _credentials(certificate: Path, key: Path, client_ca: Path) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())],
        client_ca.read_bytes(),
        require_client_auth=True,
    )


if __name__ == "__main__":
    _tls = _credentials(*map(Path, sys.argv[1:4]))
    uvloop.run(_main(_tls, int(sys.argv[4])))
