"""Devices, process groups, logging and exit codes: the only package that touches MindSpore's context and the rank."""
