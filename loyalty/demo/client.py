"""A till's side of the API: one connection, JSON in and out."""

import http.client
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

_TRIES = 5
_encode = msgspec.json.Encoder(decimal_format="number").encode


class ApiError(Exception):
    """The server refused something that the demo counts on."""


class Client:
    """Calls the API at `base` with `key`. Every call of the demo may be repeated, so lost connections are."""

    def __init__(self, base: str, key: str) -> None:
        self._address = urlsplit(base).netloc
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._connection: http.client.HTTPConnection | None = None

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """The status and the decoded answer, a refusal's problem too."""
        data = None if body is None else _encode(body)
        for attempt in range(_TRIES):
            try:
                if self._connection is None:
                    self._connection = http.client.HTTPConnection(self._address, timeout=120)
                self._connection.request(method, path, body=data, headers=self._headers)
                answer = self._connection.getresponse()
                read = answer.read()
            except (OSError, http.client.HTTPException):
                self.close()
                if attempt == _TRIES - 1:
                    raise
                time.sleep(0.2 * 2**attempt)
                continue
            if answer.status == http.client.SERVICE_UNAVAILABLE and attempt < _TRIES - 1:
                time.sleep(float(answer.headers.get("Retry-After", "1")))
                continue
            return answer.status, msgspec.json.decode(read) if read else None
        raise ApiError(f"{method} {path}: the server stayed too busy")

    def get(self, path: str) -> Any:
        """What a GET answers; raises ApiError when it is refused."""
        return self.must("GET", path)

    def must(self, method: str, path: str, body: object = None) -> Any:
        """The answer of a call that must not be refused; raises ApiError when it is."""
        status, answer = self.call(method, path, body)
        if status >= http.client.BAD_REQUEST:
            raise ApiError(f"{method} {path}: {status} {answer}")
        return answer

    def close(self) -> None:
        """Hang up; the next call connects again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
