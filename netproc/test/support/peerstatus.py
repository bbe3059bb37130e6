"""What `peer_status` might return, for tests."""

from __future__ import annotations

KEY = "sha256:aa"


def certificate(**more: object) -> dict[str, object]:
    return {
        "issuer": "CN=ca",
        "subject": "CN=h",
        "signature_algorithm": "RSA-SHA256",
        "public_key_pin": KEY,
        **more,
    }


def status(**more: object) -> dict[str, object]:
    own = certificate()
    return {
        "certificates": [own],
        "certificate": own,
        "key_exchange": "ECDHE-RSA",
        "protocol": "TLS1.3",
        "cipher": "AES-256-GCM",
        "mac": "AEAD",
        **more,
    }
