"""A live viewer: the slides themselves, their scores over them, and why."""
