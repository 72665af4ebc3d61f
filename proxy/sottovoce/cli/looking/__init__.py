"""Commands that look and tell, and change nothing: `explain`, `inspect`, `doctor`."""
