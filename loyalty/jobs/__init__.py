"""Long work that runs beside the tills: expiry, tier reviews, time-outs of holds, backtests."""
