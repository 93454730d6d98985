"""One run over a session: transport, coin check, exposure, recovery and the frame pipeline."""
