"""Where a backend's leg puts what it says."""

from typing import cast

from sottovoce.edge.call import ClientSink
from sottovoce.plane import CROWD_CONTROLS, MAX_CONTROLS, CallFlow, ClientQueue, Control
from tests.session.dialogue import talking


class QueueAlone:
    """As much of a flow as has to do with control frames."""

    def __init__(self) -> None:
        self.queue = ClientQueue(1)
        self.send_audio = self.queue.put_audio

    def send(self, control: Control) -> None:
        self.queue.put_control(control)

    @property
    def is_crowded(self) -> bool:
        return self.queue.controls >= CROWD_CONTROLS

    @property
    def is_full(self) -> bool:
        return self.queue.controls >= MAX_CONTROLS


def test_a_backend_is_called_back_when_the_queue_is_no_longer_crowded() -> None:
    pair, flow = talking(), QueueAlone()
    sink = ClientSink(cast("CallFlow", flow), lambda *_: None, lambda: None, lambda _: None)
    called: list[str] = []
    assert sink.has_room(lambda: called.append("never"))
    for number in range(CROWD_CONTROLS):
        sink.mark(str(number))
    assert not sink.has_room(lambda: called.append("now"))
    sink.look()
    assert called == []
    flow.queue.seal_into([], pair.server, 1.0)
    sink.look()
    sink.look()
    assert called == ["now"]
