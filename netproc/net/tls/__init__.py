"""TLS: parameters become contexts, contexts engines, and an engine a channel."""
