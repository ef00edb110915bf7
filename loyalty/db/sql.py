"""Where the SQL files lie, and reading them by name."""

from functools import cache
from pathlib import Path


@cache
def folder() -> Path:
    """The folder with migrations, functions, queries and checks: inside an installed wheel, or atop a
    checkout.

    Raises:
        FileNotFoundError: the installation is broken.
    """
    package = Path(__file__).resolve().parents[1]
    for place in (package / "sql", package.parent / "sql"):
        if (place / "migrations").is_dir():
            return place
    raise FileNotFoundError(f"no sql folder, neither in {package} nor beside it: is loyalty installed whole?")


@cache
def query(name: str) -> str:
    """The text of `sql/queries/NAME.sql`, read once.

    Raises:
        FileNotFoundError: there is no such query.
    """
    return (folder() / "queries" / f"{name}.sql").read_text(encoding="utf-8")
