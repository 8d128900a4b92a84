"""Integrations with other packages, one module each, imported only on request."""
