"""Pages for people: a session's, a night's, an evaluation's."""
