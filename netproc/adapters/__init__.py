"""Floor 6: network processes as Twisted services, endpoints and transports."""
