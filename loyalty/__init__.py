"""A loyalty and membership points engine: members' points and tiers, kept as money is kept."""

__version__ = "0.1.0"
