"""One file for each thing that the API shows."""
