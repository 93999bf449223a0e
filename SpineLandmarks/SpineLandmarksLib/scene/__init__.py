"""Detections as MRML nodes, and back. Needs Slicer's libraries (vtk, slicer); no Qt, no view."""
