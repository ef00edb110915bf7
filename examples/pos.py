"""A till: who is it, what do they pay, keep the sale whatever the network does, take goods back.

python examples/pos.py http://127.0.0.1:8080 KEY       # a key of the role pos
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

from loyalty.client import Client, Outbox, Unreachable
from loyalty.errors import LoyaltyError, UnknownMember
from loyalty.types import Enrolment, Purchase, PurchaseLine, PurchaseRedemption, Return, ReturnLine

PHONE = "+8613800000077"
url, key = sys.argv[1:3]
server = Client(url, key, timeout=2, tries=3)  # a till does not wait long: what it cannot send it keeps
outbox = Outbox(Path(mkdtemp()) / "till-7.db")  # on a real till: a path that survives a restart
sale = f"till-7/{datetime.now(UTC):%Y%m%d-%H%M%S}"  # an id of the till's own, used for this sale alone

# Who is it? New members join at the till.
try:
    member = server.member(f"phone:{PHONE}")
except UnknownMember:
    member = server.enrol(Enrolment(phone=PHONE, channel="pos"))
print(f"{member.member_id} is {member.tier}")

# What do they pay, and what may be paid with points?
basket = Purchase(
    purchase_id=sale,
    member=member.member_id,
    occurred_at=datetime.now(UTC),
    channel="pos",
    store="S-17",
    lines=(PurchaseLine("LAMP-1", 12900, line=1), PurchaseLine("TOWEL-3", 3980, line=2, quantity=2)),
)
quote = server.quote(basket)
print(
    f"to pay {quote.total_amount}, earns {quote.points_earned}, up to {quote.max_points} points may be redeemed"
)

# Paying with points needs the network: the purchase and the redemption are one request, and one answer.
if quote.max_points:
    paid = PurchaseRedemption(f"{sale}/points", points=quote.max_points)
    try:
        receipt = server.purchase(
            Purchase(sale, basket.member, basket.occurred_at, "pos", basket.lines, "S-17", redemption=paid)
        )
        print(f"redeemed {receipt.points_redeemed}, earned {receipt.points_earned}")
    except Unreachable:
        sys.exit("No answer: send the same request again before the customer pays in another way.")
    except LoyaltyError as refused:
        sys.exit(f"{refused.code}: {refused.detail}")
# A sale without points is kept on disk first, then sent: it is safe if the network or the till fails now.
elif (receipt := outbox.post(server, basket)) is not None:
    print(f"earned {receipt.points_earned}, available {receipt.balance.available}")
else:
    print("offline: the points follow")

# Whenever there is time: send what was kept while offline, and look at what was refused.
for sent in outbox.forward(server):
    print(f"sent {sent.kind} {sent.id}")
for refusal in outbox.refusals():
    print(f"refused {refusal.kind} {refusal.id}: {refusal.why.detail}")

# One towel comes back.
goods = Return(f"{sale}/back-1", sale, datetime.now(UTC), (ReturnLine(line=2, quantity=1),))
back = outbox.post(server, goods)
if back is not None:
    print(f"give back {back.refund_amount}; {back.points_clawed_back} points taken back")
