"""Laws whose best actions are known in closed form, shared with the questions."""

from tests.ask.conftest import altered, hump, level, memory, ramp, table

__all__ = ["altered", "hump", "level", "memory", "ramp", "table"]
