"""What runs in the box, where a model file is opened: it may be broken or hostile, and only answers leave.

Each module here that has a `main` is run as `python -I -m MODULE ARGUMENTS` in a folder that holds `model.tflite`, and
prints one document (`coursekit.measure.documents`) or one array on its standard output.
"""
