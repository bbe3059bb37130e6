"""Floor 6: processes in the places that Twisted has for them: endpoints, transports of protocols, services."""
