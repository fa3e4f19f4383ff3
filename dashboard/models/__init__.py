"""What people bring: sign-ins, and what they asked to be told, when and how. One file for each thing."""

from dashboard.models.acknowledgement import Acknowledgement, AcknowledgementQuerySet
from dashboard.models.sign_in import FAILURE_WINDOW, MOST_FAILURES, FailedSignIn, OneTimePassword

__all__ = [
    "FAILURE_WINDOW",
    "MOST_FAILURES",
    "Acknowledgement",
    "AcknowledgementQuerySet",
    "FailedSignIn",
    "OneTimePassword",
]
