"""The demo: a real grocer's year replayed through the HTTP API of a server of its own, and what came of it."""
