"""Keras HDF5 files, read without Keras and written as ONNX."""

from emotion_estimators.networks.keras_hdf5.model import read_keras_hdf5

__all__ = ["read_keras_hdf5"]
