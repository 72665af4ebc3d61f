"""The composition root: makes the parts, hands them to each other, and starts them."""
