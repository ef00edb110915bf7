"""Which step of a purchase a stack of Python frames belongs to: the first pattern that fits, from the innermost frame.

Patterns are `function (file`, or a part of the frame as py-spy prints it: `function (/path/of/file.py:12)`.
"""

STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("body decoded and checked", ("decode (loyalty/api/reading", "read_body", "read_json", "validate.py")),
    ("guard: key and role", ("guard (", "loyalty/keys.py")),
    ("one form and fingerprint", ("prepare (", "engine/requests.py", "members/identity.py")),
    (
        "rules judged",
        (
            "rules/judge.py",
            "rules/compiled.py",
            "rules/conditions.py",
            "rules/stacking.py",
            "rules/selectors.py",
            "rules/exact.py",
        ),
    ),
    ("explained", ("rules/award.py", "rules/notes.py")),
    ("chain of hashes", ("ledger/chain.py",)),
    ("receipt and facts encoded", ("encode", "to_text", "engine/facts.py", "_receipt")),
    ("lives and calendar", ("ledger/life.py", "calendar.py")),
    ("books", ("ledger/book.py", "ledger/rows.py")),
    ("tiers", ("engine/standing.py", "loyalty/tiers/")),
    ("members and requests looked up", ("find (loyalty/ledger/store",)),
    ("accounts locked and read", ("lock_accounts",)),
    ("rows posted", ("post (loyalty/ledger/store",)),
    ("begin and commit", ("asyncpg/transaction.py",)),
    ("pool", ("asyncpg/pool.py",)),
    (
        "decision around the rules",
        (
            "engine/record.py",
            "engine/decide.py",
            "engine/context.py",
            "engine/loading.py",
            "engine/programs.py",
        ),
    ),
    (
        "batch kept together",
        ("engine/batch.py", "engine/item.py", "engine/resolve.py", "engine/batcher.py", "engine/engine.py"),
    ),
    ("observer, log and figures", ("api/observer.py", "api/metrics.py", "structlog", "prometheus")),
    ("answer sent", ("api/reply.py", "send (uvicorn", "uvicorn/protocols/http/flow")),
    ("litestar", ("litestar",)),
    ("uvicorn and httptools", ("uvicorn",)),
    ("asyncpg", ("asyncpg",)),
    ("event loop", ("asyncio", "uvloop")),
)
REST = "the rest"


_FOR_OTHERS = ("asyncpg", "asyncio", "uvloop")
"""Frames whose time belongs to whoever called them."""
_AROUND = ("litestar", "uvicorn and httptools", "observer, log and figures", REST)
"""Steps that contain all others: a stack that shows no more than these is not about the engine."""


def step_of(frames: list[str]) -> str:
    """The step of a stack; `frames` from the outermost to the innermost."""
    last = len(frames)
    while last and any(pattern in frames[last - 1] for pattern in _FOR_OTHERS):
        last -= 1
    step = _named(frames[:last])
    return _named(frames) if step in _AROUND else step


def _named(frames: list[str]) -> str:
    for frame in reversed(frames):
        for step, patterns in STEPS:
            if any(_fits(pattern, frame) for pattern in patterns):
                return step
    return REST


def _fits(pattern: str, frame: str) -> bool:
    """`function (part of the file's path`, or a part of either."""
    function, found, file = pattern.partition(" (")
    if not found:
        return pattern in frame
    return file in frame and frame.startswith((f"{function} (", f"{function}."))
