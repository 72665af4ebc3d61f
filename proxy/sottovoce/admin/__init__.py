"""What an operator asks a running proxy, over HTTP: metrics, health, status."""
