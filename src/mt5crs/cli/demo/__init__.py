"""`mt5crs demo`: the main job, where people can see it."""
