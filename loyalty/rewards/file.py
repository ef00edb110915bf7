"""The file that a catalogue is put from: its reading, and its JSON Schema for editors.

Both come from `RewardTerms`, so that neither can know a key that the other, or the HTTP face, does not.
"""

import tomllib
from typing import Any

import msgspec

from loyalty.rewards.model import RewardTerms
from loyalty.types import RewardId

_SAYS = {
    "id": "Its name in calls and reports; it stays for ever.",
    "name": "What members and tills read.",
    "kind": "cash: a voucher that is worth its amount; gift: goods; service: something that is done.",
    "points": "Its price.",
    "amount": "What a cash voucher takes off, in minor units: 1000 is 10.00. Only for cash.",
    "description": "More about it, for the member's page.",
    "tiers": "Whose members may claim it. Left out: everybody.",
    "from": "The first local day on which it can be claimed.",
    "until": "The first local day on which it no longer can.",
    "valid_days": "Local days after that of the claim on which its voucher can be used. Left out: without end.",
    "unlimited": "No stock is counted. Otherwise there is none until some comes in.",
}


class _Listed(RewardTerms, frozen=True, kw_only=True):
    id: RewardId


def read(text: str) -> dict[str, RewardTerms]:
    """The rewards of a TOML file by their ids. Raises ValueError, which says what is wrong and with which."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is not TOML: {error}.") from None
    listed = told.pop("rewards", None)
    if told or not isinstance(listed, list) or not listed:
        raise ValueError("it should hold a [[rewards]] for each reward, and nothing else.")
    found: dict[str, RewardTerms] = {}
    for place, one in enumerate(listed, 1):
        try:
            reward = msgspec.convert(one, _Listed)
        except msgspec.ValidationError as error:
            name = one.get("id") if isinstance(one, dict) else None
            raise ValueError(f"{name or f'reward {place}'}: {error}.") from None
        if reward.id in found:
            raise ValueError(f"{reward.id} is there twice.")
        found[reward.id] = RewardTerms(
            **{name: getattr(reward, name) for name in RewardTerms.__struct_fields__}
        )
    return found


def schema() -> dict[str, Any]:
    """The JSON Schema of such files."""
    _, made = msgspec.json.schema_components([_Listed])
    reward = made[_Listed.__name__]
    reward["properties"] = {
        name: {"description": _SAYS[name], **_without_null(reward["properties"][name])} for name in _SAYS
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Catalogue of rewards",
        "type": "object",
        "properties": {
            "rewards": {
                "description": "A reward.",
                "type": "array",
                "minItems": 1,
                "items": {**reward, "title": "Reward", "description": "What members can have for points."},
            }
        },
        "required": ["rewards"],
        "additionalProperties": False,
    }


def _without_null(value: dict[str, Any]) -> dict[str, Any]:
    """What a key may be: a file leaves out what it does not say."""
    if "anyOf" in value:
        (value,) = [one for one in value["anyOf"] if one != {"type": "null"}]
    return value
