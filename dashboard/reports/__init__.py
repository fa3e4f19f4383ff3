"""Reports by mail: who gets one and when, what it tells, and the mail in the outbox that it becomes."""
