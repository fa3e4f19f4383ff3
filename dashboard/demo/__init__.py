"""The embedded demo cluster: a Kubernetes API in our own process, with a believable platform inside. An extra; only
`manage.py up` and tests use it.
"""
