"""Starting the ranks of a job on this host and staying with them: rank tables, msrun, mpirun; no MindSpore in here."""
