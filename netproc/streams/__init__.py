"""Floor 5: `open_network_stream`, with its keywords, client certificates and the security manager."""
