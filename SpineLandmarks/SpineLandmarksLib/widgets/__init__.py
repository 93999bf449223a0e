"""The panel's parts. Needs Qt (Slicer's PythonQt)."""
