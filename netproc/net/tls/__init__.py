"""TLS: parameters into contexts, verification, and what became of it.

`parameters` holds the value of the keyword `tls_parameters`, `contexts` makes OpenSSL's contexts of
it with `credentials`, `servernames`, `priority` and `verify`, `engine` has one connection, and `peerstatus` tells
about it.
"""
