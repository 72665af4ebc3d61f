"""Example backends, each a program of its own: `python -m loadtest.backends.NAME --help`.

| program              | speaks                 | stands on      | is                                               |
|----------------------|------------------------|----------------|--------------------------------------------------|
| `twilio_bot`         | Twilio's Media Streams | trio-websocket | a bot written from the vendor's documents alone  |
| `audiosocket_bot`    | Asterisk's AudioSocket | Trio           | likewise                                         |
| `realtime_bot`       | OpenAI's Realtime      | trio-websocket | likewise: a parrot that can be broken in on      |
| `mux_bot`            | `mux`                  | our library    | a bot whose calls share one connection           |
| `pipecat_bot`        | `raw`                  | Pipecat        | a pipeline with the `FrameSerializer` beside it  |
| `pipecat_pipeline`   | `raw`                  | Pipecat        | no program: that pipeline                        |
| `pipecat_serializer` | `raw`                  | Pipecat        | no program: that serializer, to copy from        |

Elsewhere: `python -m sottovoce.relay.demo_backend` (`raw`, the backend of tests and load tests, from its document
alone); `sottovoce example` prints short ones, with `sottovoce.backend` and without.
"""
