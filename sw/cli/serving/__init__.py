"""Requests of clients and of traces."""
