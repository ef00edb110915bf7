"""Files of purchases, returns and members, read with their dirt and posted through the engine."""
