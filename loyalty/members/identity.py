"""How a member is named: by `member_id`, or by an identifier with its scheme. Pure."""

import re
import secrets
from typing import NamedTuple

from loyalty.errors import FieldError, InvalidRequest
from loyalty.types import NAME_SHAPES, Enrolment, MemberChange

_SHAPES = {scheme: re.compile(shape) for scheme, shape in NAME_SHAPES.items()}
_WANTED = {
    "id": "1 to 64 characters of A-Z a-z 0-9 . _ -",
    "phone": "'+' and 2 to 15 digits",
    "card": "1 to 64 characters of A-Z a-z 0-9 . _ -",
    "email": "an e-mail address",
    "ext": "1 to 128 characters of A-Z a-z 0-9 . _ : / -",
}

SCHEMES = ("phone", "card", "email", "ext")
"""The schemes of identifiers, in the order in which they are shown."""

_ALPHABET = "23456789abcdefghjkmnpqrstvwxyz"


class Name(NamedTuple):
    """A name that means an account. Scheme `id` holds the member_id itself; e-mail is lower case."""

    scheme: str
    value: str

    def __str__(self) -> str:
        return self.value if self.scheme == "id" else f"{self.scheme}:{self.value}"


def parse_reference(reference: str) -> Name:
    """Read a member's name as clients write it (DESIGN.md 7): `m-42`, `phone:+8613800000001`, `email:A@b.cn`.

    Raises InvalidRequest when the shape is wrong; whether anybody bears the name is not asked here.
    """
    scheme, colon, value = reference.partition(":")
    if not colon:
        scheme, value = "id", reference
    elif scheme not in SCHEMES:
        raise _wrong(f"'{scheme}:' is not a scheme; use a member_id, or phone:, card:, email: or ext:")
    if not _SHAPES[scheme].fullmatch(value):
        raise _wrong(f"{'a member_id' if scheme == 'id' else scheme} is {_WANTED[scheme]}")
    return normal(scheme, value)


def normal(scheme: str, value: str) -> Name:
    """The one spelling under which a name is kept: e-mail compares without regard to case."""
    return Name(scheme, value.lower() if scheme == "email" else value)


def names_of(source: Enrolment | MemberChange) -> list[Name]:
    """The identifiers that an enrolment or a change gives, without its `member_id`."""
    return [normal(scheme, value) for scheme in SCHEMES if isinstance(value := getattr(source, scheme), str)]


def make_member_id() -> str:
    """A made-up member_id: short enough to be read out, not guessable (54 bits), without 0/o and 1/l."""
    return "m-" + "".join(secrets.choice(_ALPHABET) for _ in range(11))


def _wrong(message: str) -> InvalidRequest:
    return InvalidRequest("The member's name is not valid.", errors=[FieldError("member", message)])
