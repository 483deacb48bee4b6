"""Plain networks and the reader of Keras HDF5 files: no scikit-learn in here."""
