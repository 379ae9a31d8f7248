"""So that nbgrader's own commands and its formgrader find this course."""

c = get_config()  # noqa: F821 - nbgrader defines it
c.CourseDirectory.source_directory = "assignments"
