"""`sottovoce serve` that is told to seal and unseal (`orders`).

A line is `seal REASON` or `offer SHARE`; the answer is the state, or the error's name and text.
"""

from sottovoce.app.serving.parts import Parts
from sottovoce.hsm.seal import SealError
from sottovoce.primitives import Secret
from tests.shows.orders import serve_with_orders


async def answer(parts: Parts, what: bytes, rest: bytes) -> str:
    try:
        if what == b"seal":
            status = await parts.sealing.seal(rest.decode())
        else:
            with Secret.take("share", rest) as share:
                status = await parts.sealing.offer(share)
    except SealError as error:
        return f"{type(error).__name__}: {error}"
    return status.state.value


if __name__ == "__main__":
    serve_with_orders(answer)
