"""Secrets at rest, by the name under which pages know them: `scanner.encryption` has the rules, since scans decrypt the
kubeconfigs that pages encrypt."""

from __future__ import annotations

from scanner.encryption import (
    CannotDecrypt,
    EncryptedField,
    check_keys,
    decrypt,
    encrypt,
    encrypted_columns,
    is_of_first_key,
    rotated,
)

__all__ = [
    "CannotDecrypt",
    "EncryptedField",
    "check_keys",
    "decrypt",
    "encrypt",
    "encrypted_columns",
    "is_of_first_key",
    "rotated",
]
