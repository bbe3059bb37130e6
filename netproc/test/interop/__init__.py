"""TLS and STARTTLS with other projects' servers and clients."""
