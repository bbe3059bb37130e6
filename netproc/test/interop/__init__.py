"""TLS and STARTTLS with servers and clients that nobody here wrote."""
