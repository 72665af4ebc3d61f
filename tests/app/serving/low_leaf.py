"""`sottovoce`, whose proxies believe that seven tenths of their TLS certificate's life are over.

The certificate has them in truth: only the clock that health goes by is ahead, so that the proxy does not renew.
"""

from sottovoce.app.serving import parts
from sottovoce.app.serving.health import Health, Tokens
from sottovoce.cli import main
from sottovoce.transport import Clock, SystemClock

LATER_SECONDS = 0.7 * 86_400


class LaterClock(SystemClock):
    def wall(self) -> float:
        return super().wall() + LATER_SECONDS


class LaterHealth(Health):
    def __init__(self, _: Clock, tokens: Tokens) -> None:
        super().__init__(LaterClock(), tokens)


if __name__ == "__main__":
    parts.Health = LaterHealth  # type: ignore[misc]
    main()
