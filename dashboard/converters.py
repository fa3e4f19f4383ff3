"""What the parts of a URL may be. What no name can be is a page that does not exist, before any database is asked."""

from __future__ import annotations


class NameConverter:
    """The name of a cluster or Namespace: one segment of a path without control characters. Looser than Kubernetes'
    RFC 1123 labels, since a cluster is called what its context is ("kubernetes-admin@kubernetes")."""

    regex = r"[^/\x00-\x1f\x7f]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class CredentialConverter(NameConverter):
    """A column of the matrix ("registry/quay.io:5000"). These are printable (`scanner.credential.column`)."""

    regex = r"[^\x00-\x1f\x7f]+"
