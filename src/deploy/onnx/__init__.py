"""ONNX files: written from MindIR by a table of operators, checked, and opened with their manifests. Needs requirements-deploy.txt."""
