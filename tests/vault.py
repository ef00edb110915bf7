"""The secret of the tests, and what it opens."""

from loyalty.members.vault import Vault
from loyalty.settings import write_secrets

SECRET = bytes(range(32))
SECRET_KEYS = write_secrets((SECRET,))
VAULT = Vault([SECRET])
