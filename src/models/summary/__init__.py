"""What a network costs: parameters, operations and memory of each of its parts."""
