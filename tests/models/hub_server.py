"""A stand-in for the Hugging Face hub on loopback: files, an entity tag, ranges, gates."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HALF = 1 << 16  # bytes after which a broken connection breaks


class Hub:
    """What it has, and what it was asked.

    Attributes:
        files: By "ORG/NAME" and name of the file.
        gated: Networks whose terms nobody accepted.
        breaks: Files whose next download ends early.
        asked: Of each request the method, the file and the first byte that was wanted.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.breaks: set[str] = set()
        self.asked: list[tuple[str, str, int]] = []
        self.url = ""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve it until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def answer(self, *, body: bool) -> None:
            parts = self.path.strip("/").split("/")
            repo, file = "/".join(parts[:2]), "/".join(parts[4:])
            wanted = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
            hub.asked.append((self.command, file, wanted))
            if repo not in hub.files:
                return self.refuse(404, "RepoNotFound")
            if repo in hub.gated:
                return self.refuse(403, "GatedRepo")
            if file not in hub.files[repo]:
                return self.refuse(404, "EntryNotFound")
            content = hub.files[repo][file]
            self.send_response(206 if wanted else 200)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content) - wanted))
            if wanted:
                size = len(content)
                self.send_header("Content-Range", f"bytes {wanted}-{size - 1}/{size}")
            self.end_headers()
            if not body:
                return None
            if file in hub.breaks:
                hub.breaks.remove(file)
                self.wfile.write(content[wanted : wanted + HALF])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)
                return None
            self.wfile.write(content[wanted:])
            return None

        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
