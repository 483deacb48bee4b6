"""Faces in photographs: found, aligned, cropped."""
