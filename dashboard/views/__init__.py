"""What answers a request: read it, authorise, ask one question, render."""
