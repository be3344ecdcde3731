"""The server: transport, limits, processes, over real gRPC with real clients."""
