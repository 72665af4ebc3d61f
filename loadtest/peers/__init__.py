"""The same offered load through Sottovoce and through what others would put there: HAProxy, nginx."""
