"""What people bring: sign-ins, and what they asked to be told, when and how. One file for each thing."""

from dashboard.models.acknowledgement import Acknowledgement, AcknowledgementQuerySet
from dashboard.models.alert import (
    AlertItem,
    AlertMessage,
    AlertMessageQuerySet,
    AlertPlan,
    AlertRoute,
    AlertRouteQuerySet,
    PlannedTransition,
    ToldCell,
)
from dashboard.models.api_key import (
    DEFAULT_LIFE,
    KEY_MARK,
    LONGEST_LIFE,
    ApiKey,
    ApiKeyQuerySet,
)
from dashboard.models.calendar_feed import CalendarFeed, CalendarFeedQuerySet
from dashboard.models.mail import Mail, MailQuerySet
from dashboard.models.sign_in import FAILURE_WINDOW, MOST_FAILURES, FailedSignIn, OneTimePassword
from dashboard.models.subscription import Subscription, SubscriptionQuerySet

__all__ = [
    "DEFAULT_LIFE",
    "FAILURE_WINDOW",
    "KEY_MARK",
    "LONGEST_LIFE",
    "MOST_FAILURES",
    "Acknowledgement",
    "AcknowledgementQuerySet",
    "AlertItem",
    "AlertMessage",
    "AlertMessageQuerySet",
    "AlertPlan",
    "AlertRoute",
    "AlertRouteQuerySet",
    "ApiKey",
    "ApiKeyQuerySet",
    "CalendarFeed",
    "CalendarFeedQuerySet",
    "FailedSignIn",
    "Mail",
    "MailQuerySet",
    "OneTimePassword",
    "PlannedTransition",
    "Subscription",
    "SubscriptionQuerySet",
    "ToldCell",
]
