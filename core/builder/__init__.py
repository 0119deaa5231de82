"""Building images from Dockerfiles: the language, contexts, the engine and its cache."""
