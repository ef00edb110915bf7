"""On which line each key of a program file stands.

Neither tomllib nor json tells. These scanners only look for keys in text that the real parser has accepted
before, so they need not judge it. They return a line (from 1) for each path of the tree.
"""

import json
import re

from loyalty.program.diagnostics import Path

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}(?!")', re.DOTALL),
    re.compile(r"'''.*?'{3,5}(?!')", re.DOTALL),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._line = 1
        self._counted = 0

    def mark(self, path: Path) -> None:
        """Remembers that `path` begins here; the first place wins."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        self.lines.setdefault(path, self._line)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found.group()


class _Toml(_Scanner):
    def document(self) -> dict[Path, int]:
        table: Path = ()
        counts: dict[Path, int] = {}
        while True:
            self.skip(_SPACE)
            if self.at >= len(self.text):
                return self.lines
            if self.peek() == "[":
                table = self._header(counts)
            else:
                self._pair(table)

    def _header(self, counts: dict[Path, int]) -> Path:
        start = self.at
        array = self.text.startswith("[[", self.at)
        self.at += 2 if array else 1
        keys = self._key()
        after = self.at + (2 if array else 1)
        self.at = start
        path: Path = ()
        for number, key in enumerate(keys, start=1):
            path += (key,)
            if array and number == len(keys):
                counts[path] = counts.get(path, -1) + 1
            self.mark(path)
            if path in counts:
                path += (counts[path],)
        self.mark(path)
        self.at = after
        return path

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self.skip(_BLANK)
            if self.peek() == '"':
                parts.append(_unquoted(self.skip(_STRINGS[2])))
            elif self.peek() == "'":
                parts.append(self.skip(_STRINGS[3])[1:-1])
            else:
                parts.append(self.skip(_BARE_KEY))
            self.skip(_BLANK)
            if self.peek() != ".":
                return parts
            self.at += 1

    def _pair(self, table: Path) -> None:
        start = self.at
        keys = self._key()
        after = self.at + 1
        self.at = start
        path = table
        for key in keys:
            path += (key,)
            self.mark(path)
        self.at = after
        self.skip(_BLANK)
        self._value(path)

    def _value(self, path: Path) -> None:
        opening = self.peek()
        if opening == "[":
            self.at += 1
            index = 0
            while self.skip(_SPACE) is not None and self.peek() not in ("]", ""):
                self.mark((*path, index))
                self._value((*path, index))
                index += 1
                self._comma()
            self.at += 1
        elif opening == "{":
            self.at += 1
            while self.skip(_SPACE) is not None and self.peek() not in ("}", ""):
                self._pair(path)
                self._comma()
            self.at += 1
        elif opening in ('"', "'"):
            for pattern in _STRINGS:
                if self.skip(pattern):
                    return
        else:
            self.skip(_SCALAR)

    def _comma(self) -> None:
        self.skip(_SPACE)
        if self.peek() == ",":
            self.at += 1


class _Json(_Scanner):
    def value(self, path: Path) -> None:
        self.skip(_SPACE)
        self.mark(path)
        opening = self.peek()
        if opening in ("{", "["):
            self._items(path, "}" if opening == "{" else "]")
        elif opening == '"':
            self.skip(_STRINGS[2])
        else:
            self.skip(_SCALAR)

    def _items(self, path: Path, closing: str) -> None:
        self.at += 1
        index = 0
        while self.skip(_SPACE) is not None and self.peek() not in (closing, ""):
            if closing == "}":
                start = self.at
                key: str | int = _unquoted(self.skip(_STRINGS[2]))
                after, self.at = self.at, start
                self.mark((*path, key))
                self.at = after
                self.skip(_SPACE)
                self.at += 1
            else:
                key, index = index, index + 1
            self.value((*path, key))
            self.skip(_SPACE)
            if self.peek() == ",":
                self.at += 1
        self.at += 1


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        # A TOML escape that JSON lacks, in a key: nobody's program has one, and only its line is lost.
        return text[1:-1]


def toml_lines(text: str) -> dict[Path, int]:
    """Lines of every key, table and list item of TOML that tomllib accepted."""
    return _Toml(text).document()


def json_lines(text: str) -> dict[Path, int]:
    """Lines of every key and list item of JSON that json accepted."""
    scanner = _Json(text)
    scanner.value(())
    return scanner.lines
