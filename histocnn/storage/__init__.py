"""What lies between stages on disk: HDF5 and JSON, whole or not there; other tools' words."""
