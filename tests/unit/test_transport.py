"""An answer is one write, so that it leaves in one packet; nothing that was written is ever lost."""

import asyncio

from loyalty.api.transport import WholeAnswers

HEAD = b"HTTP/1.1 201 \r\ncontent-length: 4\r\n\r\n"


class Wire(asyncio.Transport):
    """Notes what goes over it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True


def test_head_and_body_are_one_write_and_further_parts_follow() -> None:
    answers = WholeAnswers(wire := Wire())
    for part in (HEAD, b"body", b"more"):
        answers.write(part)
    assert wire.writes == [HEAD + b"body", b"more"]


def test_a_head_without_a_body_goes_when_the_answer_ends() -> None:
    answers = WholeAnswers(wire := Wire())
    answers.write(HEAD)
    assert wire.writes == []
    answers.flush()
    answers.flush()
    assert wire.writes == [HEAD]


def test_closing_sends_what_waits() -> None:
    answers = WholeAnswers(wire := Wire())
    answers.write(HEAD)
    answers.close()
    assert (wire.writes, wire.closed) == ([HEAD], True)


def test_a_client_that_waits_for_leave_to_send_its_body_gets_it_at_once() -> None:
    answers = WholeAnswers(wire := Wire())
    answers.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert wire.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]
