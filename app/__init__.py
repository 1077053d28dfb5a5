"""The pages and the HTTP API; joins the engine, the annotations and the training. Imported by launch.py alone."""
