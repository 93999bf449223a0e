"""Landmarks and angles on lateral spine radiographs: one library for 3D Slicer, the shell and training.

Data flows through the rooms in this order; a room imports only from rooms named before it::

    core      numpy only: levels and corners, frames, chains, measurements
    films     files -> core.Radiograph            (SimpleITK, pydicom)
    model     core.Radiograph -> core.Detection   (torch, imported when first needed)
    report    core.Detection -> CSV, PNG, .mrk.json
    pipeline  one film from file to result; batch: many
    shell     the command
    scene     core.Detection <-> MRML nodes       (Slicer's libraries, no Qt)
    widgets   the panel                           (Qt)
"""

__version__ = "0.1.0"
