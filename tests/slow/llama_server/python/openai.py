"""Stands for OpenAI's Python client, which Debian has no package of: tests that use it are skipped. What they check is checked
with OpenAI's client for Node, in clients_check.mjs."""
import pytest


class OpenAI:
    def __init__(self, *args, **kwargs):
        pytest.skip("OpenAI's Python client is not installed")
