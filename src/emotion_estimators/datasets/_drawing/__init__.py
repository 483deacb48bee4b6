"""Faces and things, drawn."""
