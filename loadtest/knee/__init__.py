"""How many calls one core holds: steps up until a limit is missed, then between the last two, until it is narrow."""
