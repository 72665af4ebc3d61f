"""Programs of a comparison that run as processes of their own; the package imports nothing: they start fast."""
