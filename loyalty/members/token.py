"""A member's token: sealed here, carried by the member's browser, believed for a short while without asking anybody."""

import base64
import binascii

import msgspec
from msgspec import Struct

from loyalty.members.vault import SealingKey, Vault
from loyalty.types import MemberId

PREFIX = "member_"


class Token(Struct, frozen=True, array_like=True):
    """What a token says: whose data it opens, which key made it, and when it ends (seconds of the Unix clock)."""

    member_id: MemberId
    key_id: str
    ends_at: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Token).decode


def write_token(key: SealingKey, token: Token) -> str:
    """The token as it is carried."""
    return PREFIX + base64.urlsafe_b64encode(key.seal_token(_encode(token))).rstrip(b"=").decode()


def read_token(vault: Vault, carried: bytes) -> Token | None:
    """What a token says; None if we did not write it. Whether it has ended is not asked here."""
    prefix = PREFIX.encode()
    if not carried.startswith(prefix):
        return None
    text = carried[len(prefix) :]
    try:
        sealed = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    said = vault.open_token(sealed)
    return None if said is None else _decode(said)
