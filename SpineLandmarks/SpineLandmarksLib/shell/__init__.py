"""The ``spine-landmarks`` command."""
