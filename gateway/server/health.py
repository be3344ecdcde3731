"""What the health service tells of the keeper, of the usage logs, and of the process itself once its
keys are over.

A gateway whose keeper hangs answers still, so its own health stays as it is: taken off by a load
balancer it would help nobody. Who watches over the gateway asks for the keeper's. So it is where usage
logs can't be written.
"""

import logging
from typing import Final

from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

from gateway.server.key_watch import KeyWatch
from gateway.server.pulse import Pulse

KEEPER: Final = "creditgate.keeper"
"""The keeper's name in the health service."""
USAGE_LOGS: Final = "creditgate.usage-logs"
"""That of the usage logs."""
_log = logging.getLogger(__name__)


async def tell_keepers_health(health: HealthServicer, pulse: Pulse) -> None:
    """Let ``health`` tell of the keeper what its pulse tells, until cancelled."""
    status = health_pb2.HealthCheckResponse
    while True:
        await health.set(KEEPER, status.NOT_SERVING if pulse.is_lost else status.SERVING)
        await pulse.changed()
        if pulse.is_lost:
            _log.error("no sign of the keeper for %d s", pulse.counts.silent_seconds)
        else:
            _log.warning("the keeper is back")


async def tell_of_keys(health: HealthServicer, keys: KeyWatch) -> None:
    """Let ``health`` tell that the process does not serve once a key of a log is over, until
    cancelled: another one may, and a load balancer is to take this one off."""
    await keys.ended()
    await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)


async def tell_of_usage_logs(health: HealthServicer, keys: KeyWatch) -> None:
    """Let ``health`` tell whether usage logs can be written, until cancelled."""
    status = health_pb2.HealthCheckResponse
    while True:
        await health.set(USAGE_LOGS, status.NOT_SERVING if keys.is_stuck else status.SERVING)
        await keys.turned()
