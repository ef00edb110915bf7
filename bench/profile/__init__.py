"""Where the time of a purchase goes: `python -m bench.profile`."""
