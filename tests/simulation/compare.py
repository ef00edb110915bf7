"""Where an answer differs from what the model expects; only what the model says is compared."""

from datetime import datetime
from typing import Any

from .model import ANY


def differences(expected: dict[str, Any], actual: dict[str, Any], path: str = "") -> list[str]:
    found: list[str] = []
    for name, wanted in expected.items():
        where = f"{path}{name}"
        if wanted is ANY:
            continue
        given = actual.get(name)
        if name in READERS and given is not None:
            wanted, given = READERS[name](wanted), READERS[name](given)
        if isinstance(wanted, dict) and isinstance(given, dict):
            found += differences(wanted, given, f"{where}.")
        elif name == "entries" and isinstance(given, list):
            found += _rows(wanted, given)
        elif isinstance(wanted, list) and isinstance(given, list) and wanted != given:
            found.append(
                f"{where}: only model {[one for one in wanted if one not in given]}, "
                f"only engine {[one for one in given if one not in wanted]}"
            )
        elif not _equal(wanted, given):
            found.append(f"{where}: model {wanted}, engine {given}")
    if path == "tier." and "previous" in actual and "previous" not in expected:
        found.append(f"tier.previous: model none, engine {actual['previous']}")
    return found


def _rows(wanted: list[dict[str, Any]], given: list[dict[str, Any]]) -> list[str]:
    for place, (one, other) in enumerate(zip(wanted, given, strict=False)):
        if found := differences(one, other, f"entries[{place}]."):
            return [f"entries[{place}]: model {one}, engine {other}", *found]
    if len(wanted) != len(given):
        return [f"entries: model has {len(wanted)}, engine {len(given)}"]
    return []


def _equal(wanted: Any, given: Any) -> bool:
    if isinstance(wanted, datetime) and isinstance(given, str):
        return wanted == datetime.fromisoformat(given)
    return bool(wanted == given)


def _time(value: Any) -> Any:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return None if isinstance(value, datetime) and value.year == 9999 else value


def _lots(found: list[Any]) -> list[Any]:
    """Points by life: how many lots share one is not said by the design."""
    sums: dict[Any, int] = {}
    for one in found:
        if isinstance(one, dict):
            spendable, end, points = one["spendable_from"], one["expires_at"], one["points"]
        elif isinstance(one[0], datetime):
            spendable, end, points = one
        else:
            points, spendable, end = one
        key = (_time(spendable), _time(end))
        sums[key] = sums.get(key, 0) + points
    return sorted(sums.items(), key=repr)


def _expiring(found: list[Any]) -> list[Any]:
    sums: dict[Any, int] = {}
    for one in found:
        end, points = (one["expires_at"], one["points"]) if isinstance(one, dict) else one
        sums[_time(end)] = sums.get(_time(end), 0) + points
    return sorted(sums.items())


def _holds(found: list[Any]) -> list[Any]:
    return sorted(
        (one["redemption_id"], one["points"], _time(one["until"])) if isinstance(one, dict) else one
        for one in found
    )


def _explain(found: list[Any]) -> list[Any]:
    """What gave points; a rule that a limit left nothing is named with 0 in the engine's."""
    rows = [(one["rule"], one.get("line"), one["points"]) if isinstance(one, dict) else one for one in found]
    return sorted((row for row in rows if row[2] != "0"), key=repr)


def _parts(found: list[Any]) -> list[Any]:
    rows = [
        (one.get("tier", one.get("month")), one["points"]) if isinstance(one, dict) else one for one in found
    ]
    return sorted((row for row in rows if row[1]), key=repr)


READERS = {
    "by_tier": _parts,
    "by_expiry": _parts,
    "lots": _lots,
    "expiring": _expiring,
    "holds": _holds,
    "explain": _explain,
}
