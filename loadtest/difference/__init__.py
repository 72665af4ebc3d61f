"""Two results held against each other: what became worse, and whether by more than is allowed."""
