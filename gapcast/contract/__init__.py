"""Everything that crosses a border between processes, typed once.

Requests, answers, the configurations of jobs, their results and their events. Pydantic and the standard library only.
"""
