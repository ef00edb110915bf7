"""A client of the engine's HTTP API for tills and shops written in Python.

    client = Client("http://127.0.0.1:8080", key)
    lamp = PurchaseLine("LAMP-1", 12900)
    receipt = client.purchase(Purchase("till-7/1001", "phone:+8613800000001", now, "pos", (lamp,)))

Requests are the values of `loyalty.types`, refusals the classes of `loyalty.errors`. Calls are tried again with the
same ids until there is an answer; tills that may be offline put theirs into an `Outbox` first.
"""

from loyalty.client.client import Client, Unreachable
from loyalty.client.outbox import Outbox, OutboxUnusable, Refusal
from loyalty.client.upload import Uploaded

__all__ = ["Client", "Outbox", "OutboxUnusable", "Refusal", "Unreachable", "Uploaded"]
