"""The processes of `loop_lag`: a proxy that is watched from inside, a slow token, and those who call."""
