"""What a call's backend is told of it: who calls at its beginning, the client's control frames, counts at its end."""

from sottovoce.observe import CallCounts
from sottovoce.plane import FlowStatistics
from sottovoce.relay import CallEnd, CallStart, CallStatistics, Leg, LegStatistics
from sottovoce.session import ServerSession, events
from sottovoce.wire import code_label

NO_LEG = LegStatistics(
    frames_to_backend=0, frames_from_backend=0, frames_dropped_to_backend=0, frames_dropped_from_backend=0
)
"""Of a call that had no backend yet."""


def call_start(established: events.Established, route: str, epoch: int, client: str) -> CallStart:
    """Describe a call that begins; `client` is the peer's address and port."""
    return CallStart(
        session_id=established.session_id,
        route=route,
        send_codec=established.send_codec,
        receive_codec=established.receive_codec,
        frame_milliseconds=established.frame_milliseconds,
        identity=(established.identity.name or None) if established.identity else None,
        suite=established.suite,
        epoch=epoch,
        epoch_seconds=established.epoch_seconds,
        metadata=established.metadata,
        client_address=client,
    )


def call_counts(flow: FlowStatistics, session: ServerSession, leg: Leg | None) -> CallCounts:
    """Put together what a call's parts have counted; `leg` is its backend's, if there was one."""
    told = leg.statistics if leg else NO_LEG
    return CallCounts(
        from_client=flow.from_client,
        lost_from_client=session.datagrams_lost,
        to_backend=told.frames_to_backend,
        to_backend_dropped=told.frames_dropped_to_backend,
        from_backend_ahead=told.frames_dropped_from_backend,
        to_client=flow.to_client - session.oversize_frames,
        to_client_dropped=flow.dropped,
        to_client_oversize=session.oversize_frames,
        generations=session.generations,
    )


def call_end(ended: events.Ended, counts: CallCounts, *, seconds: float, epochs: int) -> CallEnd:
    """Describe how a call ended."""
    statistics = CallStatistics(
        seconds=seconds,
        epochs=epochs,
        frames_from_client=counts.from_client,
        frames_to_client=counts.to_client,
        frames_dropped_to_client=counts.to_client_dropped + counts.to_client_oversize,
    )
    return CallEnd(code=ended.code, reason=code_label(ended.code), truncated=ended.truncated, statistics=statistics)


def pass_on(event: events.Event, leg: Leg) -> None:
    """Give a client's control frame to its backend."""
    match event:
        case events.Dtmf(number, duration_milliseconds):
            leg.dtmf(number, duration_milliseconds)
        case events.Mark(name):
            leg.mark_played(name)
        case events.Mute(muted):
            leg.mute(muted=muted)
        case events.Json(data):
            leg.json(data)
        case events.Data(data):
            leg.data(data)
        case _:
            pass
