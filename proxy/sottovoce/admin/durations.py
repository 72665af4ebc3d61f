"""How long something takes or has been, for people: two units, the larger first.  Pure."""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float) -> str:
    """Give `6 d 23 h`, `23 h 58 min`, `4 min 10 s` or `12 s`."""
    left = max(0, int(seconds))
    for place, (size, unit) in enumerate(_UNITS):
        if left >= size:
            rest, (smaller, name) = left % size, _UNITS[min(place + 1, len(_UNITS) - 1)]
            more = f" {rest // smaller} {name}" if rest >= smaller and smaller < size else ""
            return f"{left // size} {unit}{more}"
    return "0 s"
