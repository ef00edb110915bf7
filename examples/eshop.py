"""An e-shop: prices for members, points set aside at the checkout, taken when the goods are sent, and a member's page.

python examples/eshop.py http://127.0.0.1:8080 KEY     # a key of the role eshop
"""

import sys
from datetime import UTC, datetime

from loyalty.client import Client
from loyalty.errors import InsufficientPoints, RedemptionNotAllowed
from loyalty.types import Enrolment, Purchase, PurchaseLine, PurchaseRedemption, Redemption

url, key = sys.argv[1:3]
server = Client(url, key)
order = f"web/{datetime.now(UTC):%Y%m%d-%H%M%S}"

# Signing up: the shop's own id of the customer is an identifier, so no second id need be kept.
member = server.enrol(Enrolment(member_id="m-shop-4711", ext="shop-4711", email="han@example.com"))

# A first order. The quote says what members pay less, why, and what their tier gives them besides.
cart = Purchase(order, "ext:shop-4711", datetime.now(UTC), "online", (PurchaseLine("LAMP-1", 25900),))
quote = server.quote(cart)
for discount in quote.discounts:
    print(f"line {discount.line}: {discount.percent} % off, {discount.amount}")
print(f"privileges: {', '.join(quote.privileges) or 'none'}")
print(f"earned {server.purchase(cart).points_earned}")

# The next order is paid with points: set aside at the checkout, so that nobody spends them elsewhere meanwhile.
second = f"{order}/2"
try:
    held = server.redeem(
        Redemption(
            f"{second}/points", member.member_id, points=200, basket_amount=9900, hold=True, hold_seconds=1800
        )
    )
    print(f"held {held.points} points, worth {held.amount}, until {held.until}")
except (InsufficientPoints, RedemptionNotAllowed) as refused:
    sys.exit(f"{refused.code}: {refused.detail}")

# The goods leave the house: the order is recorded and the hold is captured, in one transaction. (The customer changed
# their mind? server.release(held.redemption_id); and if nobody says anything, it ends by itself.)
receipt = server.purchase(
    Purchase(
        second,
        member.member_id,
        datetime.now(UTC),
        "online",
        (PurchaseLine("VASE-2", 9900),),
        redemption=PurchaseRedemption(held.redemption_id, points=200),
    )
)
print(f"redeemed {receipt.points_redeemed}, earned {receipt.points_earned}")

# The member's page reads with a token for this member alone, made by the shop and handed to the browser.
page = Client(url, server.member_token(member.member_id).token)
balance, standing = page.balance(member.member_id), page.tier(member.member_id)
print(f"{balance.available} points, worth {balance.amount}; {standing.tier}")
if standing.next is not None:
    print(f"{standing.next.spend_amount} more to {standing.next.tier}")
for entry in page.entries(member.member_id):
    print(f"  {entry.occurred_at:%Y-%m-%d} {entry.kind:8} {entry.points:+}")
