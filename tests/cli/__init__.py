"""A package, so that pytest ends what is shared by its tests (`scope="package"`) with the last of
them: a cloud that runs sixty times as fast is not to run beside the rest of the suite."""
