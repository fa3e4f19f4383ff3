"""Mails: how they look (`rendering`), what is around them (`message`), and how they reach the server (`delivery`)."""
