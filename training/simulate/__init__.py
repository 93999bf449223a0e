"""Simulated lateral films from bone meshes, with exact corners.

meshes -> column (a random posture) -> projection (path lengths) -> exposure (a film) -> folder.
Lengths are millimetres; x to the patient's left, y posterior, z up.
"""
