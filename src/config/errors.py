"""The exceptions for what a user can mend."""


class UserError(ValueError):
    """A wrong input, path or setting. The message is one line: what, where, how to fix it.

    Entry scripts print it on stderr and exit with status 2; anything else is a defect and keeps its traceback.
    """


class InputError(UserError):
    """Something is wrong with one of several inputs; the message is as above, and work on the others can go on."""
