"""The ZeroMQ authentication handler (RFC 27): who may connect, decided before a byte of payload is read.

The name of the authenticated principal becomes the connection's `User-Id`, which the server reads from
every message.
"""

from mt5crs.security.keys import GatewayKeys

ENDPOINT = "inproc://zeromq.zap.01"
DOMAIN = b"mt5crs"
VERSION = b"1.0"


def answer(frames: list[bytes], keys: GatewayKeys) -> list[bytes]:
    """Return the reply to a ZAP request.

    Args:
        frames: version, request id, domain, address, identity, mechanism and the client's raw public key.
        keys: The clients that may connect.
    """
    from zmq.utils import z85

    if len(frames) < 2 or frames[0] != VERSION:
        return [VERSION, frames[1] if len(frames) > 1 else b"", b"500", b"not a ZAP 1.0 request", b"", b""]
    request = frames[1]
    if len(frames) != 7 or frames[2] != DOMAIN or frames[5] != b"CURVE":
        return [VERSION, request, b"400", b"CURVE keys are required", b"", b""]
    principal = keys.clients.get(z85.encode(frames[6]))
    if principal is None:
        return [VERSION, request, b"400", b"unknown key", b"", b""]
    return [VERSION, request, b"200", b"OK", principal.name.encode(), b""]
