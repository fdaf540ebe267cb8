"""One module per recipe; `PRESET` holds what differs from the schema's defaults or what defines the recipe."""
