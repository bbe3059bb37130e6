"""Floor 5: `open_network_stream`: its keywords, client certificates and the security manager."""
