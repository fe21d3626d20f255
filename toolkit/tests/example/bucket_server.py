"""A small object store on loopback: as much of Google's, Azure's and Amazon's protocols as obstore needs."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"
PAGE = 2
"""Objects in a page of a listing."""
TIME = "Wed, 25 Nov 2026 00:00:00 GMT"


class BucketServer(ThreadingHTTPServer):
    """One bucket. With `refuses`, it lists its objects and refuses reads."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.refuses = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def bucket_server() -> Iterator[BucketServer]:
    with BucketServer() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BucketServer

    def do_GET(self) -> None:
        bucket, key, query = self._parsed()
        if bucket != BUCKET:
            self._reply(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        elif not key:
            self._reply(200, self._listing(query).encode())
        elif self.server.refuses:
            self._reply(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif key in self.server.objects:
            self._reply(200, self.server.objects[key], _etag(self.server.objects[key]))
        else:
            self._reply(404)

    def do_PUT(self) -> None:
        _, key, _ = self._parsed()
        self.server.objects[key] = self.rfile.read(int(self.headers["Content-Length"]))
        self._reply(201 if "x-ms-version" in self.headers else 200, b"", _etag(self.server.objects[key]))

    def _listing(self, query: dict[str, str]) -> str:
        """Return a page of the listing, in Azure's form or in that of Google and Amazon."""
        token = query.get("marker", query.get("continuation-token", ""))
        keys = [key for key in sorted(self.server.objects) if key.startswith(query.get("prefix", "")) and key > token]
        following = keys[PAGE - 1] if len(keys) > PAGE else ""
        shown = [(escape(key), len(self.server.objects[key]), _etag(self.server.objects[key])) for key in keys[:PAGE]]
        if query.get("comp") == "list":
            blobs = "".join(
                f"<Blob><Name>{key}</Name><Properties><Last-Modified>{TIME}</Last-Modified><Etag>{etag}</Etag>"
                f"<Content-Length>{size}</Content-Length><Content-Type>text/plain</Content-Type></Properties></Blob>"
                for key, size, etag in shown
            )
            return (
                f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{escape(following)}</NextMarker>"
                "</EnumerationResults>"
            )
        contents = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-11-25T00:00:00.000Z</LastModified><ETag>{etag}</ETag>"
            f"<Size>{size}</Size></Contents>"
            for key, size, etag in shown
        )
        following = f"<NextContinuationToken>{escape(following)}</NextContinuationToken>" if following else ""
        return f"<ListBucketResult>{contents}{following}</ListBucketResult>"

    def _parsed(self) -> tuple[str, str, dict[str, str]]:
        """Return bucket, key and query."""
        parts = urlsplit(self.path)
        bucket, _, key = parts.path.lstrip("/").partition("/")
        return bucket, unquote(key), {name: values[0] for name, values in parse_qs(parts.query).items()}

    def _reply(self, status: int, body: bytes = b"", etag: str = "") -> None:
        self.send_response(status)
        for name, value in {"ETag": etag, "Last-Modified": TIME, "Content-Length": str(len(body))}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


def _etag(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
