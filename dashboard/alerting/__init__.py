"""Alerts: from how cells change to messages that people read.

```
Transition rows ─▶ planning.py ─▶ messages that collect, then stand in the outbox ─▶ delivery.py ─▶ sending.py
                   damping.py     grouping.py, wording.py, quiet_hours.py          claims, tries again   Apprise
```
`damping`, `grouping`, `quiet_hours` and `wording` are core: values in, values out, `now` is an argument.
"""
