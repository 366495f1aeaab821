"""A layout as the files that other projects read: mig-parted, GPU operator, device plugin, DRA, Slurm."""
