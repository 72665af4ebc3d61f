"""What is promised about speed, measured: each module with a `measure()` gives its `Figure`s.

Ratios, not times: what is measured and what it is measured against take turns, several times, and the middle one of the
rounds' ratios counts.  So the machine may be slow, and may change its speed on the way.
"""
