"""The clients of `handshakes`, in a process of their own, and how a process's time is read."""
