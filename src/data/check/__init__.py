"""`python -m src.data.check`: look at every file of a data set, say what is wrong, and how to mend it."""
