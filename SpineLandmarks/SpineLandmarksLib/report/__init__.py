"""What a user takes home: tables, an annotated picture, a Slicer markups file."""
