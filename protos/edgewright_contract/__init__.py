"""What controller and agent share: messages, values, errors, transfer rules. Python 3.8 and up."""
