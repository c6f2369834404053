"""The server: it listens on the loopback alone, until somebody ends it."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable

from tornado.httpserver import HTTPServer

from histocnn.errors import UsageError
from histocnn.viewing.at_work import Viewing
from histocnn.viewing.guard import ADDRESS
from histocnn.viewing.routes import application

_HIGHEST = 65535
_TURN = 0.0005  # seconds
_MOST_BODY = 4 * 2**20  # bytes of a request; only teaching sends any


async def serve(
    viewing: Viewing, port: int, ready: Callable[[str], None], stop: asyncio.Event
) -> None:
    """Answer until told to stop.

    Args:
        viewing: What is shown.
        port: To listen on; 0: any that is free.
        ready: Is told the address.
        stop: Ends it when set.

    Raises:
        UsageError: The port is taken, or may not be used.
    """
    own = _listening(int(port))
    # A thread that wants Python waits for another's turn to end: 5 ms by default, as long as a tile
    # takes to make.
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    server = HTTPServer(application(viewing), max_body_size=_MOST_BODY, idle_connection_timeout=60)
    server.add_socket(own)
    try:
        ready(f"http://{ADDRESS}:{own.getsockname()[1]}/{viewing.token}/")
        await stop.wait()
    finally:
        server.stop()
        sys.setswitchinterval(before)
        try:
            await server.close_all_connections()
        finally:
            viewing.close()


def _listening(port: int) -> socket.socket:
    """A socket on the loopback.

    Raises:
        UsageError: As `serve`.
    """
    remedy = "Leave it out, and any free one is taken."
    if port > _HIGHEST:
        raise UsageError(f"--port {port} cannot be used: {_HIGHEST} is the highest", remedy)
    try:
        found = socket.create_server((ADDRESS, port), backlog=128)
        found.setblocking(False)
        return found
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
        raise UsageError(f"--port {port} {reason}", remedy) from error
