"""Personal data sealed, and names hashed, with keys derived from the secrets in the environment. Pure.

A secret is 32 random bytes. HKDF (RFC 5869) makes of it keys for AES-256-GCM, one for BLAKE2b, and the four bytes
that tell it from others; these stand before whatever it sealed. Several secrets can be known at once: what any of them
sealed is opened, and the database says which one seals now.
"""

import secrets
from collections.abc import Iterable
from datetime import date
from hashlib import blake2b, sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from loyalty.errors import Overloaded
from loyalty.members.identity import Name

ID_BYTES = 4
_NONCE_BYTES = 12
_HASH_BYTES = 16
_RETRY_SECONDS = 30


class SealingKey:
    """What one secret is good for. `id`: four bytes that tell it from others and say nothing about it."""

    def __init__(self, secret: bytes) -> None:
        self.id = _derived(secret, b"id", ID_BYTES)
        self._cipher = AESGCM(_derived(secret, b"seal", 32))
        self._tokens = AESGCM(_derived(secret, b"token", 32))
        self._hash_key = _derived(secret, b"hash", 32)

    def seal(self, text: str) -> bytes:
        """The text, unreadable without the secret; the same text is sealed differently each time."""
        return self.seal_bytes(text.encode())

    def seal_bytes(self, content: bytes) -> bytes:
        return self._sealed(self._cipher, content)

    def seal_token(self, content: bytes) -> bytes:
        """As `seal_bytes`, for what leaves the house: nothing else that was ever sealed passes for it."""
        return self._sealed(self._tokens, content)

    def unseal(self, sealed: bytes) -> bytes | None:
        """What was sealed with this secret; None if it was tampered with."""
        return self._unsealed(self._cipher, sealed)

    def unseal_token(self, sealed: bytes) -> bytes | None:
        """What `seal_token` sealed; None if that was not it."""
        return self._unsealed(self._tokens, sealed)

    def _sealed(self, cipher: AESGCM, content: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self.id + nonce + cipher.encrypt(nonce, content, self.id)

    def _unsealed(self, cipher: AESGCM, sealed: bytes) -> bytes | None:
        nonce, rest = sealed[ID_BYTES : ID_BYTES + _NONCE_BYTES], sealed[ID_BYTES + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, rest, self.id)
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce and a tag
            return None

    def stored(self, name: Name) -> str:
        """How a name stands in the table of names: the member_id as it is, any other as a keyed hash."""
        if name.scheme == "id":
            return name.value
        # Keyed BLAKE2 is a MAC by itself (RFC 7693), in a third of the time that HMAC takes.
        return blake2b(
            f"{name.scheme}:{name.value}".encode(), digest_size=_HASH_BYTES, key=self._hash_key
        ).hexdigest()

    def call(self, name: str) -> str:
        """The keyed hash under which a person's own name is found, in any case."""
        return self.stored(Name("name", name.casefold()))


class Vault:
    """All secrets that this process knows, the newest first. Without any it opens nothing."""

    def __init__(self, known: Iterable[bytes] = ()) -> None:
        self._secrets = tuple(known)
        self._keys = {key.id: key for key in map(SealingKey, self._secrets)}

    def __reduce__(self) -> tuple[type["Vault"], tuple[tuple[bytes, ...]]]:
        """Goes to other processes as its secrets."""
        return Vault, (self._secrets,)

    @property
    def newest(self) -> bytes | None:
        """The id of the first secret."""
        return next(iter(self._keys), None)

    @property
    def keys(self) -> tuple[SealingKey, ...]:
        return tuple(self._keys.values())

    def knows(self, id: bytes) -> bool:
        """Whether this process was given the secret of this id."""
        return id in self._keys

    def key(self, id: bytes | None) -> SealingKey:
        """The key of this id. Raises Overloaded if this process was not given its secret."""
        key = self._keys.get(id or b"")
        if key is None:
            raise Overloaded(
                "LOYALTY_SECRET_KEYS lacks the secret that the personal data in this database are sealed with.",
                retry_after=_RETRY_SECONDS,
            )
        return key

    def open(self, sealed: bytes) -> str:
        """What was sealed. Raises Overloaded without its secret, ValueError if it was tampered with."""
        content = self.open_bytes(sealed)
        return content.decode()

    def open_bytes(self, sealed: bytes) -> bytes:
        content = self.key(sealed[:ID_BYTES]).unseal(sealed)
        if content is None:
            raise ValueError("a sealed value was changed since it was sealed")
        return content

    def open_token(self, sealed: bytes) -> bytes | None:
        """What a token says; None if no secret of ours sealed it."""
        key = self._keys.get(sealed[:ID_BYTES])
        return None if key is None else key.unseal_token(sealed)

    def open_date(self, sealed: bytes) -> date:
        return date.fromisoformat(self.open(sealed))

    def stored(self, name: Name) -> tuple[str, ...]:
        """Every way in which a name may stand in the table of names: one for each secret that this process knows."""
        if name.scheme == "id":
            return (name.value,)
        return tuple(key.stored(name) for key in self._keys.values())

    def spread(self, names: Iterable[Name]) -> dict[tuple[str, str], Name]:
        """The names by their (scheme, stored value)."""
        return {(name.scheme, value): name for name in names for value in self.stored(name)}


def digest(content: bytes) -> bytes:
    """The unkeyed hash of a content, never to be stored unsealed."""
    return sha256(content).digest()


def _derived(secret: bytes, purpose: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt=None, info=b"loyalty " + purpose).derive(secret)
