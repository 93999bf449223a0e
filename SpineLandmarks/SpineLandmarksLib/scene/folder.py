"""A film's place in Slicer's data tree."""

from __future__ import annotations


def put_in_folder(scene, film, node) -> int:
    """Put a node into the film's folder of the subject hierarchy, made next to the film when it is
    missing; returns the folder's item."""
    from slicer import vtkMRMLSubjectHierarchyNode

    tree = vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    film_item = tree.GetItemByDataNode(film)
    parent = tree.GetItemParent(film_item) if film_item else tree.GetSceneItemID()
    name = f"{film.GetName()} spine landmarks"
    folder = tree.GetItemChildWithName(parent, name) or tree.CreateFolderItem(parent, name)
    item = tree.GetItemByDataNode(node)
    if item:
        tree.SetItemParent(item, folder)
    else:
        tree.CreateItem(folder, node)
    return folder


def remove_empty_folders(scene, name_ends: str = " spine landmarks") -> None:
    """Remove film folders that hold nothing any more."""
    import vtk
    from slicer import vtkMRMLSubjectHierarchyNode

    tree = vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = vtk.vtkIdList()
    tree.GetItemChildren(tree.GetSceneItemID(), items, True)
    for item in [items.GetId(i) for i in range(items.GetNumberOfIds())]:
        if tree.GetItemDataNode(item) is None and tree.GetItemName(item).endswith(name_ends) and not tree.GetNumberOfItemChildren(item):
            tree.RemoveItem(item)
