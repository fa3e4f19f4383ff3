"""The API for machines: `/api/v1`. It shows what the pages show to the same person, from the same queries.

`app.py` puts it together; `resources/` has one file for each thing; what all requests share is in `gate.py`, `keys.py`,
`throttling.py`, `paging.py` and `problems.py`. `document.py` is the OpenAPI document.
"""
