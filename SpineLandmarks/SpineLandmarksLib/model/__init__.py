"""The networks. Torch is imported by this room's modules, never by the library's other rooms at import."""
